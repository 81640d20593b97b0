"""ONNX files from elsewhere: opened without trusting them, made whole, checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput
from edgekit.core.files import atomic_path
from edgekit.core.requires import requires

__all__ = ["external_files", "read_onnx", "write_onnx"]

_MAXIMUM_BYTES = 2**31 - 1


def read_onnx(path: Path) -> Any:
    """Read an ONNX file with its external data, check it, and return onnx.ModelProto.

    Nothing outside the file's own folder is read.

    Raises:
        BadInput: Missing, damaged, no ONNX file, not a valid graph, or external data that is
            missing, damaged, outside the folder, or too large for one file.
        MissingLibrary: onnx is not installed.
    """
    model = _parse(path)
    import onnx

    external = [tensor for tensor in _tensors(model.graph) if tensor.data_location == 1]
    for tensor in external:
        _check_external(tensor, path)
    if external:
        try:
            onnx.load_external_data_for_model(model, str(path.parent))
        except Exception as error:
            raise BadInput(
                f"The external data of {path} cannot be read: {_line(error)}."
            ) from error
    if model.ByteSize() > _MAXIMUM_BYTES:
        raise BadInput(f"{path} exceeds the 2 GB that one ONNX file holds.")
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise BadInput(
            f"{path} is not a valid ONNX graph: {_line(error)}.",
            hint="Export the model again; onnx.checker.check_model gives the details.",
        ) from error
    return model


def external_files(path: Path) -> list[Path]:
    """Return the files beside an ONNX file that hold its weights, each once, by name.

    Raises:
        BadInput: Missing, damaged, or data that lies outside the file's folder or is not there.
    """
    model = _parse(path)
    names = set()
    for tensor in _tensors(model.graph):
        if tensor.external_data:
            _check_external(tensor, path)
            names |= {entry.value for entry in tensor.external_data if entry.key == "location"}
    return [path.parent / name for name in sorted(names)]


def write_onnx(model: Any, path: Path) -> None:
    """Write a model as one file, whole or not at all.

    Raises:
        BadInput: It exceeds 2 GB, or the path cannot be written.
    """
    if model.ByteSize() > _MAXIMUM_BYTES:
        raise BadInput(f"{path.name} would exceed the 2 GB that one ONNX file holds.")
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _parse(path: Path) -> Any:
    """Read the file itself, without external data."""
    with requires("onnx", extra="onnx", why=f"to read {path}"):
        import onnx
        from google.protobuf.message import DecodeError
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist.") from error
    except (DecodeError, OSError, ValueError) as error:
        raise _damaged(path) from error
    if not model.graph.node and not model.graph.output:
        # Some bytes parse as an empty message.
        raise _damaged(path)
    return model


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor of a graph that may hold external data, subgraphs included."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in [attribute.g, *attribute.graphs]:
                yield from _tensors(inner)


def _check_external(tensor: Any, path: Path) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    folder = path.parent.resolve()
    target = (folder / location).resolve()
    if not location or Path(location).is_absolute() or not target.is_relative_to(folder):
        raise BadInput(
            f"{path} points outside its folder for the weights {tensor.name!r}: {location!r}.",
            hint="External data must lie beside the .onnx file; export the model again.",
        )
    if not target.is_file():
        raise BadInput(
            f"{path} needs {location!r} beside it for its weights, and it is not there.",
            hint="Copy the data file along with the .onnx file.",
        )
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", 0))
    except ValueError as error:
        raise _damaged(path) from error
    if offset < 0 or length < 0 or offset + length > target.stat().st_size:
        raise BadInput(
            f"{location!r} beside {path} is too short for the weights {tensor.name!r}.",
            hint="Copy the data file again; it is truncated.",
        )


def _damaged(path: Path) -> BadInput:
    return BadInput(
        f"{path} is not an ONNX file, or it is damaged.",
        hint="Copy or export it again and compare its size.",
    )


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")[:300]
