"""Models that the null runtime pretends to run, for tests that need a known behaviour."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from edgekit.runtimes.null import METADATA_KEY


def null_graph(path: Path, **behaviour) -> str:
    """(batch, 4) doubled, with what the null runtime is to pretend."""
    value = helper.make_tensor_value_info
    shape = ["batch", 4]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"], "add")],
        "test",
        [value("x", TensorProto.FLOAT, shape)],
        [value("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: json.dumps(behaviour)})
    onnx.save(model, path)
    return str(path)
