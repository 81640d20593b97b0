"""No verb prints the secret of an address, wherever on the command line it stands."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "{}"),
        ("demo", "m.onnx", "{}"),
        ("demo", "edgekit:digits", "--source", "{}"),
        ("demo", "edgekit:digits", "--stream={}"),
        ("predict", "{}", "x.png"),
        ("predict", "edgekit:digits", "{}"),
        ("deploy", "edgekit:digits", "--data", "{}", "-o", "x"),
        ("{}",),
    ],
)
@pytest.mark.parametrize(
    "address", ["rtsp://hunter2:hunter2@-/hunter2hunter2", "http://hunter2@[/?a=hunter2"]
)
def test_no_verb_prints_the_secret_of_an_address(invoke, arguments, address):
    outcome = invoke(*(each.replace("{}", address) for each in arguments))
    assert outcome.status in (2, 3)
    assert "hunter2" not in outcome.stdout + outcome.stderr
