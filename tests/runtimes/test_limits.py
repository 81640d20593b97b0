"""Opset and IR version against what each runtime reads."""

from __future__ import annotations

import onnx
import pytest

from edgekit.core.errors import BadInput
from edgekit.core.runtime import CompileOptions
from edgekit.runtimes.catalogue import load_runtime, parse_target
from edgekit.runtimes.limits import TABLE, GraphLimits, graph_limits, runtime_limits


def limits(**changes):
    known = {"opset_min": 9, "opset_max": 20, "ir_max": 10, "source": "a test"}
    return GraphLimits(**{"runtime": "made-up", "since": "1.0", **known, **changes})


@pytest.mark.parametrize(
    ("opset", "ir_version", "changes", "verdict", "reason"),
    [
        (17, 8, {}, "ok", ""),
        (20, 10, {}, "ok", ""),
        (99, 8, {}, "too new", "Opset 99 is above 20."),
        (17, 11, {}, "too new", "IR version 11 is above 10."),
        (8, 8, {}, "too old", "Opset 8 is below 9."),
        (8, 8, {"opset_min": None}, "ok", ""),
        (17, 99, {"ir_max": None}, "ok", ""),
        (17, 8, {"opset_max": None}, "unknown", "No source tells the largest opset."),
        (99, 8, {"strict": False}, "unknown",
         "Any opset is read, but operators by their definitions of opset 20 or before."),
    ],
)  # fmt: skip
def test_a_graph_is_judged_by_opset_and_ir_version(opset, ir_version, changes, verdict, reason):
    (judged,) = graph_limits(opset, ir_version, (limits(**changes),))
    assert (judged.verdict, judged.reason) == (verdict, reason)
    assert judged.source == "a test"


def test_every_row_of_the_table_has_a_source_and_some_limit():
    for row in TABLE:
        assert row.source
        assert row.opset_max is not None or row.opset_words


def test_what_is_not_installed_is_shown_by_its_releases_and_said_not_to_be_here():
    for judged in graph_limits(17, 8, runtime_limits()):
        if not judged.installed:
            assert judged.version in {row.since for row in TABLE if row.runtime == judged.runtime}


def one_node(path, opset, ir_version):
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", 1, [1])],
        [onnx.helper.make_tensor_value_info("y", 1, [1])],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    path.write_bytes(model.SerializeToString())
    return path


def compiled(runtime, path, folder):
    folder.mkdir(exist_ok=True)
    load_runtime(runtime).compile(path, parse_target(runtime), CompileOptions(threads=1), folder)


def test_onnxruntime_reads_what_it_says_and_nothing_above(tmp_path):
    pytest.importorskip("onnxruntime")
    (known,) = [row for row in runtime_limits() if row.runtime == "onnxruntime"]
    assert known.version
    largest, newest = known.opset_max, known.ir_max
    assert largest is not None, "its refusal has other words by now: see TABLE"
    assert newest is not None, "its refusal has other words by now: see TABLE"
    compiled("onnxruntime", one_node(tmp_path / "a.onnx", largest, newest), tmp_path / "a")
    for index, (opset, ir_version) in enumerate(((largest + 1, newest), (largest, newest + 1))):
        path = one_node(tmp_path / f"{index}.onnx", opset, ir_version)
        with pytest.raises(BadInput):
            compiled("onnxruntime", path, tmp_path / str(index))


def test_openvino_reads_any_opset_as_the_table_says(tmp_path):
    pytest.importorskip("openvino")
    (known,) = [row for row in runtime_limits() if row.runtime == "openvino"]
    assert not known.strict
    compiled("openvino", one_node(tmp_path / "a.onnx", 99, 99), tmp_path / "a")


def test_a_graph_of_opset_99_is_ok_nowhere():
    assert {judged.verdict for judged in graph_limits(99, 99, runtime_limits())} <= {
        "too new",
        "unknown",
    }
