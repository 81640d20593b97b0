"""ONNX files from elsewhere: opened without trusting them, made whole and plain, checked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.core import onnx_bytes
from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.files import atomic_path
from edgekit.core.onnx_bytes import (
    MAXIMUM_BYTES,
    load_external,
    parse_onnx,
    refuse_lying_tensors,
)
from edgekit.export.plain import make_plain

__all__ = ["external_files", "plain_file", "read_onnx", "read_plain", "write_onnx"]


def read_onnx(path: Path) -> Any:
    """Read an ONNX file with its external data, check it, and return onnx.ModelProto.

    Nothing outside the file's own folder is read. The graph is plain: see edgekit.export.plain.

    Raises:
        BadInput: Missing, damaged, no ONNX file, not a valid graph, or external data that is
            missing, damaged, outside the folder, or too large for one file.
        MissingLibrary: onnx is not installed.
    """
    return read_plain(path)[0]


def read_plain(path: Path) -> tuple[Any, list[str]]:
    """Read an ONNX file as `read_onnx` does, with a sentence for each change that matters.

    Raises:
        BadInput: As of `read_onnx`.
        MissingLibrary: onnx is not installed.
    """
    model = _whole(path)
    return model, make_plain(model, path)


@contextmanager
def plain_file(path: Path) -> Iterator[Path]:
    """Give an ONNX file whose graph is plain: the same one where it is, else a temporary copy.

    Engines read files themselves, and some refuse what is not plain. What is raised inside names
    the file that was given.

    Raises:
        BadInput: As of `read_onnx`.
        MissingLibrary: onnx is not installed.
    """
    model = _whole(path)
    before = model.SerializeToString(deterministic=True)
    make_plain(model, path)
    content = model.SerializeToString(deterministic=True)
    if content == before:
        del model, before, content
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="edgekit-plain-") as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(content)
        del model, before, content
        try:
            yield copy
        except EdgekitError as error:
            texts = (text.replace(str(copy), str(path)) for text in (error.message, error.hint))
            raise type(error)(*texts) from error


def _whole(path: Path) -> Any:
    model = parse_onnx(path, f"to read {path}")
    load_external(model, path)
    refuse_lying_tensors(model, path)
    return model


def external_files(path: Path) -> list[Path]:
    """Return the files beside an ONNX file that hold its weights, each once, by name.

    Raises:
        BadInput: Missing, damaged, or data that lies outside the file's folder or is not there.
    """
    return onnx_bytes.external_files(parse_onnx(path, f"to read {path}"), path)


def write_onnx(model: Any, path: Path) -> None:
    """Write a model as one file, whole or not at all.

    Raises:
        BadInput: It exceeds 2 GB, or the path cannot be written.
    """
    if model.ByteSize() > MAXIMUM_BYTES:
        raise BadInput(f"{path.name} would exceed the 2 GB that one ONNX file holds.")
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
