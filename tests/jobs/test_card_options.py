"""Keys of the card put over it from the command line."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit import api
from edgekit.core.errors import BadInput
from edgekit.export.metadata import read_card


def test_options_override_the_card_and_travel_in_the_graph(tmp_path, digits_onnx):
    output = tmp_path / "m.onnx"
    labels = "[" + ", ".join(f'"number {digit}"' for digit in range(10)) + "]"
    api.export(str(digits_onnx), output, options={"labels": labels, "confidence": "0.5"})
    card = read_card(output)
    assert card.labels[3] == "number 3"
    assert card.postprocess.confidence == 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [({"confidenze": "0.5"}, "'confidence'"), ({"confidence": "[1"}, "YAML")],
)
def test_a_wrong_option_is_named(tmp_path, digits_onnx, options, words):
    with pytest.raises(BadInput, match=words):
        api.export(str(digits_onnx), tmp_path / "m.onnx", options=options)


def test_new_external_data_makes_a_new_engine(tmp_path, digits_onnx, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    model = onnx.load(digits_onnx)
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=16)
    before = path.read_bytes()
    first = api.compile(str(path), target="onnxruntime:cpu")
    other = onnx.load(digits_onnx)
    for tensor in other.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(array + 1, tensor.name))
    (tmp_path / "m.data").unlink()
    onnx.save(other, path, save_as_external_data=True, location="m.data", size_threshold=16)
    # The graph's own file says nothing of the new weights.
    path.write_bytes(before)
    second = api.compile(str(path), target="onnxruntime:cpu")
    assert not second.cached
    assert second.engines != first.engines
