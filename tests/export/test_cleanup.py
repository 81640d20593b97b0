"""What onnxslim does to a graph is judged: kept where nothing changes, a short note where not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.export.cleanup import clean
from edgekit.jobs.process.plain import run_file


def upsampling(outputs, extra=()):
    """y = ConvTranspose(x), x of (1, 2, 4, 4) and y of (1, 2, 8, 8)."""
    weight = numpy_helper.from_array(np.ones((2, 2, 2, 2), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4]), *extra],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, outputs)],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def feeds():
    return {"x": np.ones((1, 2, 4, 4), np.float32)}


def shape(model):
    dims = model.graph.output[0].type.tensor_type.shape.dim
    return [size.dim_value or size.dim_param for size in dims]


def test_a_name_that_is_one_number_becomes_it():
    # Red where any difference of the declared outputs threw the clean-up away.
    cleaned, notes = clean(upsampling([1, 2, "h", "w"]), [feeds], run_file)
    assert notes == []
    assert shape(cleaned) == [1, 2, 8, 8]


def test_an_input_that_nothing_reads_stays_one():
    unread = helper.make_tensor_value_info("unread", TensorProto.FLOAT, ["n"])
    model = upsampling([1, 2, 8, 8], [unread])
    cleaned, notes = clean(
        model, [lambda: {**feeds(), "unread": np.zeros(3, np.float32)}], run_file
    )
    assert notes == []
    assert [tensor.name for tensor in cleaned.graph.input] == ["x", "unread"]


def test_a_size_that_the_model_refuses_is_no_judge_of_its_clean_up():
    # Red where an image of 1 x 1 was the only one tried.
    def wrong():
        return {"x": np.ones((1, 2, 1, 1), np.float32)}

    cleaned, notes = clean(upsampling([1, 2, "h", "w"]), [wrong, feeds], run_file)
    assert notes == []
    assert shape(cleaned) == [1, 2, 8, 8]
    model = upsampling([1, 2, "h", "w"])
    kept, notes = clean(model, [wrong], run_file)
    assert kept is model
    assert "none of the sizes" in notes[0]


@pytest.mark.parametrize("error", [SystemExit(1), RecursionError(), RuntimeError("x\n" * 9000)])
def test_whatever_onnxslim_ends_in_is_a_short_note(error, monkeypatch):
    import onnxslim

    def fail(_):
        raise error

    monkeypatch.setattr(onnxslim, "slim", fail)
    model = upsampling([1, 2, 8, 8])
    kept, notes = clean(model, [feeds], run_file)
    assert kept is model
    assert len(notes[0]) < 400
    assert "\n" not in notes[0]


def test_a_batch_that_was_baked_in_shows_at_another_size(monkeypatch):
    # Red where both graphs were compared at one size alone.
    import onnxslim

    shape_of = numpy_helper.from_array(np.array([-1, 3], np.int64), "s")
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "s"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [shape_of],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def bake(copy):
        fixed = numpy_helper.from_array(np.array([1, 3], np.int64), "s")
        copy.graph.initializer[0].CopyFrom(fixed)
        return copy

    monkeypatch.setattr(onnxslim, "slim", bake)
    cases = [lambda n=n: {"x": np.ones((n, 3), np.float32)} for n in (1, 2)]
    kept, notes = clean(model, cases, run_file)
    assert kept is model
    assert len(notes) == 1
    assert onnx.checker.check_model(kept) is None
