"""A user's decoder goes along with every graph and engine whose card names it, or is not needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from edgekit import api
from edgekit.core.errors import BadInput
from edgekit.jobs.model.resolve import resolve_model

ORT = "onnxruntime:cpu"
CODE = "def mine(outputs, size):\n    return outputs['y'][0, 0, :, :4], outputs['y'][0, 0, :, :2]\n"


@pytest.fixture
def model(tmp_path) -> Path:
    """A detector of one node in a folder with a card that names code/heads.py."""
    folder = tmp_path / "in here"
    (folder / "code").mkdir(parents=True)
    value = helper.make_tensor_value_info
    shape = [1, 3, 32, 32]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], "conv")],
        "g",
        [value("x", TensorProto.FLOAT, shape)],
        [value("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, folder / "m.onnx")
    card = {
        "schema": "edgekit.card/1",
        "task": "detection",
        "labels": ["a", "b"],
        "preprocess": {"size": [32, 32]},
        "postprocess": {"decode": "code/heads.py:mine"},
    }
    (folder / "m.card.yaml").write_text(yaml.safe_dump(card))
    (folder / "code" / "heads.py").write_text(CODE)
    return folder / "m.onnx"


def half(model, path, **more):
    return api.quantize(model, path, precision="fp16", **more)


def whole(model, path, **more):
    return api.export(str(model), path, **more)


@pytest.mark.parametrize("write", [half, whole])
def test_it_lies_beside_a_graph_that_is_written_elsewhere(model, tmp_path, write):
    out = tmp_path / "out" / "n.onnx"
    write(model, out)
    assert (out.parent / "heads.py").read_text() == CODE
    found = resolve_model(str(out))
    assert found.card.postprocess.decode == "heads.py:mine"
    assert (found.folder / "heads.py").is_file()
    # Written again it is there already.
    write(model, out.with_name("other.onnx"))
    assert sorted(one.name for one in out.parent.iterdir()) == ["heads.py", "n.onnx", "other.onnx"]


@pytest.mark.parametrize("write", [half, whole])
def test_another_file_of_its_name_is_kept_and_nothing_is_written(model, tmp_path, write):
    (tmp_path / "heads.py").write_text("mine")
    # --force is about the file that -o names.
    for force in (False, True):
        with pytest.raises(BadInput, match=r"heads\.py is another file"):
            write(model, tmp_path / "n.onnx", force=force)
    assert (tmp_path / "heads.py").read_text() == "mine"
    assert not (tmp_path / "n.onnx").exists()


def test_who_only_computes_needs_none(model, tmp_path):
    # It was: "…, which the card names as its decoder, does not exist", from compile and quantize.
    (model.parent / "code" / "heads.py").unlink()
    said = half(model, tmp_path / "half.onnx").notes
    assert any("heads.py, which the card names, does not exist" in note for note in said)
    compiled = api.compile(str(tmp_path / "half.onnx"), tmp_path / "e", target=ORT)
    assert any("heads.py, which the card names, does not exist" in note for note in compiled.notes)
    assert api.bench(str(model), targets=[ORT], time=0.1).entries[0].n > 0
    assert api.inspect(str(tmp_path / "half.onnx")).card["task"] == "detection"
