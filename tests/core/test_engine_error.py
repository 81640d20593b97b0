"""What engines raise is a sentence; what edgekit's own code raises stays a fault of edgekit's."""

from __future__ import annotations

import pytest

from edgekit.core.engine_error import run_engine
from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.subject import working_on

Fail = type("Fail", (Exception,), {"__module__": "onnxruntime.capi"})


@pytest.mark.parametrize("kind", [RuntimeError, Fail])
def test_an_engine_that_fails_names_the_model_and_the_reason(kind):
    def call() -> None:
        raise kind("[ONNXRuntimeError] : 1 : FAIL : node conv went wrong\n")

    with working_on("m.onnx"), pytest.raises(BadInput, match="m.onnx.*: node conv went wrong"):
        run_engine(call)


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("y"), Unavailable("gone")])
def test_other_errors_stay_what_they_are(error):
    def call() -> None:
        raise error

    with pytest.raises(type(error)):
        run_engine(call)
