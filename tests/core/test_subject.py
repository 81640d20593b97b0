"""What a sentence calls the file that edgekit works on, and what it keeps of a library's error."""

from __future__ import annotations

import pickle

import pytest

from edgekit.core.errors import BadInput
from edgekit.core.subject import reason_of, working_on
from edgekit.core.temporary import scratch
from edgekit.jobs.steps.cache import stage_folder

KEY = "0123456789abcdef" * 4


@pytest.mark.parametrize("root", ["cache", "a cache with blanks"])
def test_paths_of_the_cache_give_way_to_the_users_name(root, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / root))
    path = stage_folder("engine", KEY) / "engine.onnx"
    with working_on("my model.onnx"):
        error = BadInput(f"The engine refuses {path}: Load from '{path}' failed.", f"See {path}.")
    assert error.message == "The engine refuses my model.onnx: Load from 'my model.onnx' failed."
    assert error.hint == "See my model.onnx."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_temporary_paths_do_too_and_a_users_own_stay(tmp_path):
    with scratch("plain") as folder, working_on("m.onnx"):
        assert (
            str(BadInput(f"x: {folder}/main/.engine.onnx.0123456789abcdef.onnx.")) == "x: m.onnx."
        )
        own = f"{tmp_path}/edgekit-model/stages/m.onnx is damaged."
        assert str(BadInput(own)) == own
    with scratch("plain") as folder:
        assert str(BadInput(f"x: {folder}/main.onnx")) == "x: the graph"


ONNX_RUNTIME = (
    "[ONNXRuntimeError] : 1 : FAIL : Name:'n6' Status Message: /onnxruntime_src/core/"
    "reshape_helper.h:45 onnxruntime::Helper::Helper(const Shape&, bool) No such shape.\n"
)
OPENVINO = (
    "Exception from src/inference/core.cpp:112:\nException from src/plugin.cpp:21:\n"
    "Check 'a <= 1 && b == c' failed at src/plugins/reshape.cpp:83:\n"
    "[cpu]reshape: the shape conflicts.\n"
)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (ONNX_RUNTIME, "Name:'n6' Status Message: No such shape"),
        (OPENVINO, "[cpu]reshape: the shape conflicts"),
        ("\x1b[31mred\x1b[0m words (code 3) here.", "red words (code 3) here"),
        ("", "ValueError"),
    ],
)
def test_a_library_is_quoted_in_one_line_without_its_sources(said, kept):
    assert reason_of(ValueError(said)) == kept


def test_a_librarys_dump_is_cut():
    # Red where a message of any length went into the sentence, as a clean-up's note was cut inside.
    dump = "\n".join(f"line {number} of a dump" for number in range(5000))
    assert len(reason_of(RuntimeError(dump))) <= 300
