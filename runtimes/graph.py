"""An ONNX file as every runtime needs it: checked, with its inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput
from edgekit.core.fields import DTYPES
from edgekit.core.onnx_bytes import external_files, load_external, parse_onnx
from edgekit.core.onnx_keys import MODULE_KEY
from edgekit.core.requires import requires
from edgekit.core.runtime import TensorInfo

__all__ = ["Graph", "copy_graph", "read_graph"]


@dataclass(frozen=True)
class Graph:
    """What a runtime reads off an ONNX file.

    Attributes:
        path: The file.
        inputs: Inputs that must be fed, in order.
        outputs: Outputs, in order.
        nodes: Name and operator of every node of the main graph, in order.
        metadata: The file's `metadata_props`.
        modules: Node name to the path of its module in the PyTorch model, where the file says it.
        external: Files beside it that hold weights.
    """

    path: Path
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    nodes: tuple[tuple[str, str], ...]
    metadata: dict[str, str]
    modules: dict[str, str]
    external: tuple[Path, ...]


def read_graph(path: Path, *, why: str) -> Graph:
    """Read and check an ONNX file; weights are not loaded.

    Args:
        path: The file.
        why: What it is read for, "to run on openvino:cpu".

    Raises:
        MissingLibrary: onnx is not installed.
        BadInput: The file is missing, is not ONNX or is damaged, its weights lie outside its
            folder, or a tensor has a type that numpy cannot hold.
    """
    model = parse_onnx(path, why)
    with requires("onnx", extra="cpu", why=why):
        import onnx
    graph = model.graph
    external = tuple(external_files(model, path))
    if any(not value.type.tensor_type.HasField("shape") for value in graph.output):
        try:
            graph = onnx.shape_inference.infer_shapes(model).graph
        except Exception:  # shape inference is a courtesy; the engine has its own
            graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    fed = [value for value in graph.input if value.name not in weights]
    for value in fed:
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            raise BadInput(
                f"Input {value.name!r} of {path} has no shape in the graph.",
                hint="Export the model again with named axes.",
            )
    return Graph(
        path=path,
        inputs=tuple(_tensor(value, "Input", path) for value in fed),
        outputs=tuple(_tensor(value, "Output", path) for value in graph.output),
        nodes=tuple((_name(node), node.op_type) for node in graph.node),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        modules={
            _name(node): entry.value
            for node in graph.node
            for entry in node.metadata_props
            if entry.key == MODULE_KEY
        },
        external=external,
    )


def copy_graph(graph: Graph, target: Path) -> None:
    """Write the graph as one file, weights from other files included.

    Raises:
        BadInput: It would exceed 2 GB.
    """
    if not graph.external:
        target.write_bytes(graph.path.read_bytes())
        return
    model = parse_onnx(graph.path, "to read weights beside a graph")
    load_external(model, graph.path)
    target.write_bytes(model.SerializeToString())


def _tensor(value: Any, kind: str, path: Path) -> TensorInfo:
    with requires("onnx", extra="cpu", why="to read a graph"):
        import onnx
    if not value.type.HasField("tensor_type"):
        raise BadInput(
            f"{kind} {value.name!r} of {path} is a {value.type.WhichOneof('value')}, not a tensor.",
            hint="Only tensors can be fed and read.",
        )
    tensor = value.type.tensor_type
    known = tensor.elem_type in onnx.helper.get_all_tensor_dtypes()
    name = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)) if known else "unknown"
    if name not in DTYPES:
        shown = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise BadInput(
            f"{kind} {value.name!r} of {path} has the dtype {shown}, which numpy cannot hold.",
            hint="Cast it to float32 or an integer in the graph.",
        )
    # An output whose rank nothing tells still needs a shape; one unknown axis stands for it.
    shape = tuple(_axis(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else ("?",)
    return TensorInfo(name=value.name, dtype=name, shape=shape)


def _name(node: Any) -> str:
    return str(node.name or next(iter(node.output), node.op_type))


def _axis(dim: Any) -> int | str:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return str(dim.dim_param) or "?"
