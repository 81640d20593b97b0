"""An ONNX file as every runtime needs it: checked, with its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput
from edgekit.core.onnx_keys import MODULE_KEY
from edgekit.core.requires import requires
from edgekit.core.runtime import TensorInfo

__all__ = ["Graph", "copy_graph", "read_graph"]

# What numpy can hold, so what can be fed.
_DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
)


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
    model = _load(path, why)
    with requires("onnx", extra="cpu", why=why):
        import onnx
    graph = model.graph
    external = _external_files(model, path)
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
        nodes=tuple((node.name or node.output[0], node.op_type) for node in graph.node),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        modules={
            node.name or node.output[0]: entry.value
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
    with requires("onnx", extra="cpu", why="to read weights beside a graph"):
        import onnx
    size = graph.path.stat().st_size + sum(file.stat().st_size for file in graph.external)
    if size >= 2**31:
        raise BadInput(
            f"{graph.path} is {size / 1e9:.1f} GB with its weights.",
            hint="Models of 2 GB and more are not supported by this version.",
        )
    model = onnx.load(str(graph.path))
    target.write_bytes(model.SerializeToString())


def _load(path: Path, why: str) -> Any:
    if not path.is_file():
        raise BadInput(f"{path} does not exist or is not a file.", hint="Check the path.")
    with requires("onnx", extra="cpu", why=why):
        import onnx
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise BadInput(
            f"{path} is not an ONNX file or is damaged.",
            hint="Export it again, or copy it again if it was cut off on its way.",
        ) from error
    if not model.graph.node or not model.graph.output:
        raise BadInput(
            f"{path} is not an ONNX file or is damaged: it holds no graph.",
            hint="Export it again, or copy it again if it was cut off on its way.",
        )
    return model


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
    if name not in _DTYPES:
        shown = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise BadInput(
            f"{kind} {value.name!r} of {path} has the dtype {shown}, which numpy cannot hold.",
            hint="Cast it to float32 or an integer in the graph.",
        )
    # An output whose rank nothing tells still needs a shape; one unknown axis stands for it.
    shape = tuple(_axis(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else ("?",)
    return TensorInfo(name=value.name, dtype=name, shape=shape)


def _axis(dim: Any) -> int | str:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return str(dim.dim_param) or "?"


def _external_files(model: Any, path: Path) -> tuple[Path, ...]:
    """Files that hold weights, each checked to lie in the model's own folder."""
    folder = path.parent.resolve()
    files: dict[Path, None] = {}
    for tensor in _tensors(model.graph):
        if tensor.data_location != tensor.EXTERNAL:
            continue
        location = next((item.value for item in tensor.external_data if item.key == "location"), "")
        file = (folder / location).resolve()
        if not location or folder not in file.parents:
            raise BadInput(
                f"Weight {tensor.name!r} of {path} lies outside its folder, at {location!r}.",
                hint="External data must stay in the model's own folder.",
            )
        if not file.is_file():
            raise BadInput(
                f"{file} is missing, which holds weights of {path}.",
                hint="Copy it into the same folder.",
            )
        files[file] = None
    return tuple(files)


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor of a graph and of the graphs inside its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
            for inner in attribute.graphs:
                yield from _tensors(inner)
