"""Names, types and sizes of inputs come from the graph, the card and the data."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit import api
from edgekit.core.card import Axis, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.inputs import axis_sizes, with_typical
from edgekit.export.metadata import read_card
from edgekit.export.torch_graph import _leaves


def network(path, shape, kind=TensorProto.FLOAT, **metadata):
    """A convolution over 3 x 3 pixels without padding: it takes no image of 1 x 1."""
    weight = numpy_helper.from_array(np.ones((2, 3, 3, 3), np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("Conv", ["f", "w"], ["c"]),
            helper.make_node("GlobalAveragePool", ["c"], ["p"]),
            helper.make_node("Flatten", ["p"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, path)
    return str(path)


CLASSIFIER = {"task": "classify", "names": "['a', 'b']", "stride": "1", "imgsz": "8"}


def test_unknown_sizes_are_those_of_the_data(tmp_path):
    # Red where the generated golden inputs were of 1 x 1: the deployment ended in its second stage.
    model = network(tmp_path / "m.onnx", ["batch", 3, "h", "w"])
    np.savez(tmp_path / "d.npz", anything=np.ones((4, 3, 8, 9), np.float32))
    output = tmp_path / "o.onnx"
    document = api.export(model, output, data=tmp_path / "d.npz")
    assert document.verdict == "PASS"
    assert not [note for note in document.notes if "left as exported" in note]
    shape = read_card(output).inputs["images"].shape
    assert [axis.typical for axis in shape if isinstance(axis, Axis)][-2:] == [8, 9]


def test_without_data_the_refusal_names_a_line_to_write(tmp_path):
    model = network(tmp_path / "m.onnx", [1, 3, "h", 2])
    with pytest.raises(BadInput) as caught:
        api.export(model, tmp_path / "o.onnx")
    assert model in caught.value.message
    assert "--input images=1,3,NUMBER,2" in caught.value.hint


def test_a_square_a_list_of_names_and_pixels_as_they_are(tmp_path):
    path = tmp_path / "m.onnx"
    network(path, ["batch", 3, "h", "w"], TensorProto.UINT8, **CLASSIFIER)
    card = read_card(path)
    assert card.labels == ("a", "b")
    assert card.preprocess.size == (8, 8)
    assert card.preprocess.scale == 1


def test_a_size_of_an_axis_that_follows_from_another_is_its_own():
    tensors = {"x": TensorCard(("batch", 3, "2 * h"))}
    assert axis_sizes(with_typical(tensors, {"batch": 1, "h": 8})) == {"batch": 1, "h": 8}


def test_what_is_no_tensor_is_named_by_its_place():
    torch = pytest.importorskip("torch")

    class Cache:
        pass

    # Red where a cache was counted as an output: "returned 1 outputs, not 2".
    with pytest.raises(BadInput, match=r"past.*Cache"):
        _leaves({"logits": torch.ones(1), "past": Cache()}, "gpt2.pth")
    assert len(_leaves((torch.ones(1), None), "m")) == 1


def test_a_typed_shape_has_the_axes_of_the_layout(digits_onnx, tmp_path):
    with pytest.raises(BadInput, match="'image' 1 axes, and its layout in the card is NCHW"):
        api.export(str(digits_onnx), tmp_path / "o.onnx", inputs={"image": "batch"})
