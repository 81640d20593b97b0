"""Inputs and outputs that an engine of TensorRT could not be fed: refused before it is built."""

from __future__ import annotations

from typing import Any

from edgekit.core.errors import BadInput
from edgekit.runtimes.graph import Graph

__all__ = ["check_dtypes", "check_tensors"]

# What a tensor of TensorRT can hold, and what its parser keeps: it turns float64 into float32
# without a word to whoever feeds it, and asserts on the others.
_TAKEN = ("float32", "float16", "int64", "int32", "int8", "uint8", "bool")


def check_dtypes(graph: Graph, title: str) -> None:
    """Refuse inputs and outputs of dtypes that TensorRT does not have.

    Args:
        graph: The ONNX file.
        title: Name and version of the library.

    Raises:
        BadInput: Names the tensor and its dtype.
    """
    for kind, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for info in tensors:
            if info.dtype not in _TAKEN:
                raise BadInput(
                    f"{title} has no {info.dtype}, the dtype of the {kind} {info.name!r} of "
                    f"{graph.path}.",
                    hint=f"Cast it in the model to one of {', '.join(_TAKEN)}.",
                )


def check_tensors(network: Any, graph: Graph, title: str) -> None:
    """Refuse inputs whose values decide shapes.

    Args:
        network: As the parser filled it.
        graph: The ONNX file.
        title: Name and version of the library.

    Raises:
        BadInput: Names the input.
    """
    for place in range(network.num_inputs):
        tensor = network.get_input(place)
        if tensor.is_shape_tensor:
            raise BadInput(
                f"The values of the input {tensor.name!r} of {graph.path} decide the shapes of "
                f"other tensors, and edgekit does not build such engines of {title}.",
                hint="Export the model with these values fixed, or with a dynamic axis instead.",
            )
