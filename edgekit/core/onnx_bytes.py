"""ONNX files of anyone: parsed, and refused where no code could rely on what they hold.

onnx.checker looks at the graph's rules. What is looked at here comes before: texts that are no
text, types that do not exist, tensors that hold another number of bytes than their shape says,
weights beside the file that lead out of its folder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput
from edgekit.core.opening import no_file, open_placed, placed
from edgekit.core.reading import read_bytes
from edgekit.core.requires import requires
from edgekit.core.texts import shown, whole_number

__all__ = [
    "MAXIMUM_BYTES",
    "all_nodes",
    "bodies",
    "external_files",
    "first_line",
    "load_external",
    "parse_onnx",
    "refuse_lying_tensors",
    "whole",
]

# A protobuf message ends here, and with it what fits into one .onnx file.
MAXIMUM_BYTES = 2**31 - 1
# numpy's own limit is 64 axes.
_MOST_AXES = 64
# Of an input or output whose sizes are all fixed; engines count in int32 here and there.
_MOST_ELEMENTS = 2**31
# Several values share a byte.
_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
_BESIDE = "External data must lie beside the .onnx file: copy it along, or export the model again."


def parse_onnx(path: Path, why: str) -> Any:
    """Parse an ONNX file; weights that lie beside it are not loaded.

    Every text in what comes back is a str, and every type of a tensor or value exists.

    Args:
        path: The file.
        why: What onnx is needed for, "to read model.onnx".

    Returns:
        onnx.ModelProto, with a graph; not checked.

    Raises:
        BadInput: Missing, damaged, no ONNX file, or not believed; says why.
        MissingLibrary: onnx is not installed.
    """
    with requires("onnx", extra="onnx", why=why):
        import onnx
    content = read_bytes(path, limit=MAXIMUM_BYTES)
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's own errors have no common base, nor a stable path
        raise _damaged(path) from error
    if not model.graph.node or not model.graph.output:
        # Some bytes parse as an empty message.
        raise _damaged(path, "it holds no graph")
    _refuse_odd(model, path)
    return model


def bodies(node: Any) -> Iterator[Any]:
    """Yield the graphs inside a node: of If, Loop, Scan, SequenceMap."""
    for entry in node.attribute:
        if entry.HasField("g"):
            yield entry.g
        yield from entry.graphs


def whole(node: Any) -> Iterator[Any]:
    """Yield a node and those in its bodies."""
    yield node
    for body in bodies(node):
        yield from all_nodes(body)


def all_nodes(holder: Any) -> Iterator[Any]:
    """Yield every node of a graph or a function, each before those in its bodies."""
    for node in holder.node:
        yield from whole(node)


def external_files(model: Any, path: Path) -> list[Path]:
    """Return the files beside an ONNX file that hold its weights, each once, by name.

    Raises:
        BadInput: Data that lies outside the file's folder, is not there, or is too short.
    """
    found = {_location(tensor, path)[0] for tensor in _external_tensors(model)}
    return [path.parent / name for name in sorted(found)]


def load_external(model: Any, path: Path) -> None:
    """Take the weights that lie beside an ONNX file into the model.

    Raises:
        BadInput: As of `external_files`, or they are too large for one file.
    """
    found = [(tensor, _location(tensor, path)) for tensor in _external_tensors(model)]
    # As their shapes say: a tensor without a length would take the rest of its file, and a thousand
    # of them a thousand times that.
    if sum(_raw_bytes(tensor) or 0 for tensor, _ in found) > MAXIMUM_BYTES:
        raise BadInput(f"{path} exceeds, with its weights, the 2 GB that one ONNX file holds.")
    for tensor, (location, offset) in found:
        size = _raw_bytes(tensor)
        if size is None:
            raise _damaged(path, f"{shown(tensor.name)} is no tensor that lies in a file")
        with open_placed(location, path.parent, _by(tensor, path), hint=_BESIDE) as file:
            file.seek(offset)
            tensor.raw_data = file.read(size)
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]


def refuse_lying_tensors(model: Any, path: Path) -> None:
    """Refuse tensors that hold another number of values than their shape says.

    Args:
        model: onnx.ModelProto with its weights.
        path: The file, for messages.

    Raises:
        BadInput: Names the tensor.
    """
    for message in _messages(model):
        if message.DESCRIPTOR.name == "SparseTensorProto":
            tensor, true = message.values, 0 <= math.prod(message.dims) <= MAXIMUM_BYTES
        elif message.DESCRIPTOR.name == "TensorProto":
            tensor, true = message, _is_true(message)
        else:
            continue
        if not true:
            raise BadInput(
                f"{path} is damaged: the tensor {shown(tensor.name)} of shape "
                f"{shown(list(tensor.dims))} holds another number of values.",
                hint="Copy or export it again.",
            )


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line that is not long and ends without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")[:300]


def _refuse_odd(model: Any, path: Path) -> None:
    import onnx

    kinds = frozenset(onnx.TensorProto.DataType.values())
    for message in _messages(model):
        name = message.DESCRIPTOR.name
        # Looking at all fields of a tensor would copy its bytes.
        texts = [message.name] if name == "TensorProto" else _texts(message)
        if not all(isinstance(text, str) for text in texts):
            raise BadInput(
                f"{path} is damaged: a name in it is no UTF-8 text.",
                hint="Copy or export it again.",
            )
        if name == "TensorProto" and message.HasField("segment"):
            raise BadInput(
                f"{path} has a tensor in segments, {shown(message.name)}, which no reader of ONNX "
                "takes.",
                hint="Export it again.",
            )
        kind = {"TensorProto": "data_type", "Tensor": "elem_type"}.get(name)
        if kind is not None and getattr(message, kind) not in kinds:
            raise BadInput(
                f"{path} is damaged: it has a tensor of type {getattr(message, kind)}, which ONNX "
                f"{onnx.__version__} does not know.",
                hint="Export it again, or install a newer onnx.",
            )
    for value in (*model.graph.input, *model.graph.output):
        sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
        if len(sizes) > _MOST_AXES or math.prod(max(1, size) for size in sizes) > _MOST_ELEMENTS:
            raise BadInput(
                f"{shown(value.name)} of {path} has the shape {shown(sizes)}, which no engine "
                "takes.",
                hint="Export the model again for a size that fits into memory.",
            )


def _messages(message: Any) -> Iterator[Any]:
    """Yield a message and all inside it, each before what it holds."""
    # No recursion: at a depth of 100, which protobuf allows, every step would take a hundred.
    left = [message]
    while left:
        message = left.pop()
        yield message
        if message.DESCRIPTOR.name == "TensorProto":
            left.extend(reversed(message.external_data))
            continue
        below: list[Any] = []
        for field, value in message.ListFields():
            if field.message_type is not None:
                below.extend(value if _is_repeated(field) else (value,))
        left.extend(reversed(below))


def _texts(message: Any) -> Iterator[Any]:
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            yield from value if _is_repeated(field) else (value,)


def _is_repeated(field: Any) -> bool:
    # `label` is on its way out of protobuf, `is_repeated` is not in older ones.
    repeated = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if repeated is None else repeated)


def _is_true(tensor: Any) -> bool:
    import onnx

    if tensor.data_type == onnx.TensorProto.UNDEFINED:
        return False
    if any(size < 0 for size in tensor.dims):
        return False
    if tensor.HasField("raw_data") and tensor.data_type != onnx.TensorProto.STRING:
        return len(tensor.raw_data) == _raw_bytes(tensor)
    count = math.prod(tensor.dims)
    if count > MAXIMUM_BYTES:
        return False
    try:
        return bool(onnx.numpy_helper.to_array(tensor).size == count)
    except Exception:  # whatever numpy says to values that are not there
        return False


def _raw_bytes(tensor: Any) -> int | None:
    """The bytes of a tensor of its type and shape; None for texts and for what has no size."""
    import onnx

    if tensor.data_type in (onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING):
        return None
    if any(size < 0 for size in tensor.dims):
        return None
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    bits = _BITS.get(onnx.TensorProto.DataType.Name(tensor.data_type), kind.itemsize * 8)
    return int(-(-math.prod(tensor.dims) * bits // 8))


def _external_tensors(model: Any) -> Iterator[Any]:
    """Tensors whose values lie in another file, wherever in a model they are."""
    for message in _messages(model):
        if message.DESCRIPTOR.name == "TensorProto" and message.data_location == message.EXTERNAL:
            yield message


def _by(tensor: Any, path: Path) -> str:
    return f"{path}, for its weights {shown(tensor.name)},"


def _location(tensor: Any, path: Path) -> tuple[str, int]:
    """The file of a tensor's values and their place in it, bytes; both checked."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    by = _by(tensor, path)
    if Path(location).is_absolute():
        raise BadInput(
            f"{by} names {shown(location)}, which leads out of its folder.", hint=_BESIDE
        )
    target = placed(location, path.parent, by, hint=_BESIDE)
    reason = no_file(target)
    if reason:
        raise BadInput(f"{by} names {shown(location)}, which {reason}.", hint=_BESIDE)
    offset, length = (whole_number(entries.get(key, "0")) for key in ("offset", "length"))
    if offset is None or length is None:
        raise _damaged(path)
    if offset + max(length, _raw_bytes(tensor) or 0) > target.stat().st_size:
        raise BadInput(
            f"{shown(location)} beside {path} is too short for the weights {shown(tensor.name)}.",
            hint="Copy the data file again; it is truncated.",
        )
    if "length" in entries and length != _raw_bytes(tensor):
        raise _damaged(path, f"{shown(tensor.name)} has {length} bytes, which is not its shape")
    return str(location), offset


def _damaged(path: Path, why: str = "") -> BadInput:
    return BadInput(
        f"{path} is not an ONNX file, or it is damaged{why and f': {why}'}.",
        hint="Copy or export it again and compare its size.",
    )
