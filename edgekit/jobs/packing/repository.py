"""Model repositories as Triton and OpenVINO Model Server document them.

Neither server runs in edgekit's tests. The files follow their documents: Triton's model
configuration and the README files of its onnxruntime and openvino backends; OpenVINO Model
Server's parameters and its repository of classic models.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from edgekit.core.card import GraphCard
from edgekit.core.errors import BadInput
from edgekit.core.inputs import batch_axis, dynamic_axes
from edgekit.core.runtime import TensorInfo
from edgekit.jobs.packing.engines import Scripted

__all__ = ["Served", "model_name", "openvino_config", "triton_config"]

# numpy to Triton (model_config.proto, enum DataType).
_TRITON = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "uint16": "TYPE_UINT16",
    "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
}
# For a batch axis without an upper end: what Triton itself takes where nothing is said.
_UNBOUNDED = 4


@dataclass(frozen=True)
class Served:
    """One graph in a repository.

    Attributes:
        name: The model's name there.
        graph: What the card says of it.
        inputs: As the ONNX graph names them.
        outputs: Likewise.
        threads: As certified.
        precision: The engine library's word for the float precision.
    """

    name: str
    graph: GraphCard
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    threads: int
    precision: str


def model_name(text: str) -> str:
    """A name that both servers, paths and URLs take."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text).strip(".") or "model"


def triton_config(served: Served, engine: Scripted) -> str:
    """Write config.pbtxt.

    Raises:
        BadInput: A tensor's dtype has no name in Triton.
    """
    top = _largest_batch(served, engine)
    parameters = _TRITON_PARAMETERS[engine.server](served)
    lines = [
        f"name: {_quoted(served.name)}",
        f"backend: {_quoted(engine.server)}",
        'default_model_filename: "model.onnx"',
        f"max_batch_size: {top}",
        *_tensors("input", served.inputs, batched=top > 0),
        *_tensors("output", served.outputs, batched=top > 0),
        "instance_group [ { count: 1, kind: KIND_CPU } ]",
    ]
    for key, value in parameters.items():
        lines.append(
            f"parameters {{ key: {_quoted(key)} value: {{ string_value: {_quoted(value)} }} }}"
        )
    return "\n".join(lines) + "\n"


def openvino_config(served: list[Served]) -> str:
    """Write OpenVINO Model Server's config.json, its paths relative to the file."""
    models = [
        {
            "config": {
                "name": one.name,
                "base_path": one.name,
                "shape": {tensor.name: _shape(one, tensor) for tensor in one.inputs},
                "nireq": 1,
                "target_device": "CPU",
                "plugin_config": {
                    "INFERENCE_PRECISION_HINT": one.precision,
                    "EXECUTION_MODE_HINT": "PERFORMANCE",
                    # Its documents: not together with PERFORMANCE_HINT.
                    "NUM_STREAMS": "1",
                    "INFERENCE_NUM_THREADS": str(one.threads),
                },
            }
        }
        for one in served
    ]
    return json.dumps({"model_config_list": models}, indent=2) + "\n"


def _onnxruntime(served: Served) -> dict[str, str]:
    return {
        "intra_op_thread_count": str(served.threads),
        "inter_op_thread_count": "1",
        "execution_mode": "0",
    }


def _openvino(served: Served) -> dict[str, str]:
    parameters = {"INFERENCE_NUM_THREADS": str(served.threads), "NUM_STREAMS": "1"}
    return {**parameters, "HINT_BF16": "YES"} if served.precision == "bf16" else parameters


# By backend: the session's options under the names that the backend gives them.
_TRITON_PARAMETERS = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def _largest_batch(served: Served, engine: Scripted) -> int:
    """Triton's max_batch_size; 0 where every axis stands in `dims`, the batch too.

    The openvino backend pads or refuses a batch smaller than max_batch_size, so there the batch is
    an axis like any other.
    """
    name = batch_axis(served.graph.inputs)
    tensors = (*served.inputs, *served.outputs)
    if engine.server == "openvino" or name is None:
        return 0
    if not all(tensor.shape and tensor.shape[0] == name for tensor in tensors):
        return 0
    return dynamic_axes(served.graph.inputs)[name].max or _UNBOUNDED


def _tensors(kind: str, tensors: tuple[TensorInfo, ...], *, batched: bool) -> list[str]:
    lines = []
    for tensor in tensors:
        if tensor.dtype not in _TRITON:
            raise BadInput(f"Triton has no name for {tensor.dtype}, the dtype of {tensor.name!r}.")
        dims = ["-1" if isinstance(size, str) else str(size) for size in tensor.shape]
        dims = dims[1:] if batched else dims
        # A shape without axes is written as one of a single element, put away again.
        scalar = "" if dims else "  reshape { shape: [ ] }"
        lines.append(
            f"{kind} {{ name: {_quoted(tensor.name)} data_type: {_TRITON[tensor.dtype]} "
            f"dims: [ {', '.join(dims or ['1'])} ]{scalar} }}"
        )
    return lines


def _shape(served: Served, tensor: TensorInfo) -> str:
    """An input's shape for OpenVINO Model Server, "(1:64,3,224,224)"."""
    axes = dynamic_axes(served.graph.inputs)
    sizes = []
    for size in tensor.shape:
        if isinstance(size, int):
            sizes.append(str(size))
        else:
            axis = axes.get(size)
            sizes.append("-1" if axis is None or axis.max is None else f"{axis.min}:{axis.max}")
    return f"({','.join(sizes)})"


def _quoted(text: str) -> str:
    return json.dumps(text)
