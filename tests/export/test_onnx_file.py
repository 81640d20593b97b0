"""ONNX files from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgekit.core.errors import BadInput
from edgekit.export.onnx_file import read_onnx, write_onnx


def external(model: onnx.ModelProto, location: str, folder: Path, **entries: int) -> Path:
    """Write the model with its weights in a file of their own."""
    tensor = model.graph.initializer[0]
    content = np.array(tensor.float_data, np.float32).tobytes()
    (folder / "weights.bin").write_bytes(content)
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_beside_the_file_is_taken_into_it(tmp_path, linear_model):
    model = read_onnx(external(linear_model, "weights.bin", tmp_path))
    write_onnx(model, tmp_path / "one.onnx")
    (tmp_path / "weights.bin").unlink()
    again = onnx.load(tmp_path / "one.onnx")
    assert onnx.numpy_helper.to_array(again.graph.initializer[0]).tolist() == [[1, 1]] * 3


@pytest.mark.parametrize("kind", ["parent", "absolute", "link"])
def test_external_data_outside_the_folder_is_refused_and_not_read(tmp_path, linear_model, kind):
    outside = tmp_path / "secret.bin"
    outside.write_bytes(b"\0" * 24)
    folder = tmp_path / "model"
    folder.mkdir()
    location = {"parent": "../secret.bin", "absolute": str(outside), "link": "link.bin"}[kind]
    if kind == "link":
        (folder / "link.bin").symlink_to(outside)
    with pytest.raises(BadInput, match=r"'w'.*out of (its|the) folder"):
        read_onnx(external(linear_model, location, folder))


def test_external_data_inside_a_subgraph_is_checked_too(tmp_path, linear_model):
    inner = onnx.helper.make_graph(
        [onnx.helper.make_node("Constant", [], ["c"], value=onnx.TensorProto())],
        "inner",
        [],
        [onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [1])],
    )
    tensor = inner.node[0].attribute[0].t
    tensor.name = "deep"
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    node = onnx.helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner)
    linear_model.graph.node.append(node)
    path = tmp_path / "model.onnx"
    path.write_bytes(linear_model.SerializeToString())
    with pytest.raises(BadInput, match="'deep'"):
        read_onnx(path)


def test_missing_and_truncated_external_data_are_told_apart(tmp_path, linear_model):
    copy = onnx.ModelProto.FromString(linear_model.SerializeToString())
    with pytest.raises(BadInput, match=r"gone\.bin.*does not exist"):
        read_onnx(external(copy, "gone.bin", tmp_path))
    with pytest.raises(BadInput, match="too short"):
        read_onnx(external(linear_model, "weights.bin", tmp_path, offset=8, length=24))


@pytest.mark.parametrize("location", ["a\0b", "x" * 5000, ".", "pipe", ""])
def test_external_data_that_is_no_file_is_one_sentence(tmp_path, linear_model, location):
    if location == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("the system has no pipes")
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="'w'") as caught:
        read_onnx(external(linear_model, location, tmp_path))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("length", [8, 23, 25, 48, 10**18])
def test_external_data_of_another_length_than_the_shape_says_is_refused(
    tmp_path, linear_model, length
):
    path = external(linear_model, "weights.bin", tmp_path, length=length)
    with (tmp_path / "weights.bin").open("ab") as file:
        file.write(bytes(100))
    with pytest.raises(BadInput, match="'w'"):
        read_onnx(path)


def test_of_a_file_of_weights_no_more_is_read_than_the_shapes_say(tmp_path, linear_model):
    """Without a length a tensor was the rest of its file, here a terabyte that takes no room."""
    path = external(linear_model, "weights.bin", tmp_path)
    with (tmp_path / "weights.bin").open("ab") as file:
        file.truncate(1 << 40)
    model = read_onnx(path)
    assert len(model.graph.initializer[0].raw_data) == 24


def test_a_tensor_in_segments_is_refused(tmp_path, linear_model):
    linear_model.graph.initializer[0].segment.end = 3
    path = tmp_path / "m.onnx"
    path.write_bytes(linear_model.SerializeToString())
    with pytest.raises(BadInput, match="a tensor in segments"):
        read_onnx(path)


@pytest.mark.parametrize("content", [b"", b"this is a text file\n", b"\x08\x08 cut"])
def test_what_is_no_onnx_file_is_said_to_be_damaged(tmp_path, content):
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is not an ONNX file, or it is damaged"):
        read_onnx(path)


def test_a_truncated_file_is_said_to_be_damaged(tmp_path, linear_model):
    path = tmp_path / "cut.onnx"
    path.write_bytes(linear_model.SerializeToString()[:-20])
    with pytest.raises(BadInput, match="damaged"):
        read_onnx(path)


def test_an_invalid_graph_says_why(tmp_path, linear_model):
    linear_model.graph.node[0].op_type = "MatMull"
    path = tmp_path / "bad.onnx"
    path.write_bytes(linear_model.SerializeToString())
    with pytest.raises(BadInput, match=r"not a valid ONNX graph: .*MatMull"):
        read_onnx(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"gone\.onnx"):
        read_onnx(tmp_path / "gone.onnx")
