"""Small networks and graphs for the export tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import onnx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

MODELS = Path(__file__).parent.parent / "models"


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def toy_seq() -> ModuleType:
    """The definition of a model of two graphs."""
    return _module("toy_seq")


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """Where the definitions lie, for --arch file.py:factory."""
    return MODELS


@pytest.fixture
def linear_model() -> onnx.ModelProto:
    """y = x W, x of (batch, 3), W of ones (3, 2)."""
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor("w", onnx.TensorProto.FLOAT, [3, 2], [1.0] * 6)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
