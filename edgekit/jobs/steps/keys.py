"""What a stage depends on, as short texts: contents by sha256, tools by version."""

from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.files import sha256_file
from edgekit.core.runtime import Feeds
from edgekit.core.source import Source
from edgekit.export.onnx_file import external_files
from edgekit.jobs.steps.sources import sources
from edgekit.tasks.decoders import decoder_file
from edgekit.tasks.samples import MaskFile, Sample

__all__ = [
    "card_parts",
    "digest",
    "feeds_digest",
    "files_digest",
    "graphs_digest",
    "samples_digest",
    "source_parts",
    "tools",
]


def digest(value: object) -> str:
    """Sha256 of plain data or of a record."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def files_digest(files: Iterable[Path]) -> str:
    """Sha256 over the contents of files, in order."""
    return digest([sha256_file(file) for file in files])


def graphs_digest(graphs: Mapping[str, Path]) -> str:
    """Sha256 over the graphs of a variant and their data files."""
    return digest(
        {
            role: [sha256_file(file) for file in (graph, *external_files(graph))]
            for role, graph in graphs.items()
        }
    )


def feeds_digest(feeds: Mapping[str, Sequence[Feeds]]) -> str:
    """Sha256 over network inputs: names, dtypes, shapes and values."""
    found = hashlib.sha256()
    for role in sorted(feeds):
        for case in feeds[role]:
            for name in sorted(case):
                array = np.ascontiguousarray(case[name])
                found.update(f"{role}\0{name}\0{array.dtype.str}\0{array.shape}\n".encode())
                found.update(array.tobytes())
    return found.hexdigest()


def samples_digest(samples: Iterable[Sample], annotations: str) -> str:
    """Sha256 over samples: their names, roles, and the content of images, masks and arrays.

    Args:
        samples: Of a data set.
        annotations: The data set's fingerprint, which covers its annotation files.
    """
    content = functools.cache(sha256_file)
    lines = [
        (
            sample.id,
            sample.role,
            content(sample.path),
            content(sample.answer.path) if isinstance(sample.answer, MaskFile) else "",
        )
        for sample in samples
    ]
    return digest([annotations, lines])


def card_parts(card: ModelCard, folder: Path | None) -> dict[str, str]:
    """The card, and the decoder's file where the card names one."""
    head = card.postprocess
    file = decoder_file(head.decode, folder) if head is not None and folder is not None else None
    parts = {"card": digest(card)}
    if file is not None and file.is_file():
        parts["decoder"] = sha256_file(file)
    return parts


def source_parts(source: Source) -> dict[str, str]:
    """The model's files, and the code of its architecture as far as it can be known beforehand."""
    parts = {"source": source.kind}
    path = source.path
    if path is None:
        parts["source"] = source.text
        # A name says nothing of the weights that this version has behind it.
        if source.kind == "edgekit":
            # It brings in what draws the built-in data, and a model that is a file needs none.
            from edgekit.export.builtin.catalogue import builtin

            parts["weights"] = sha256_file(builtin(source.location).weights)
    elif path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        parts["weights"] = digest(
            [(file.relative_to(path).as_posix(), sha256_file(file)) for file in files]
        )
    elif path.is_file():
        files = [path, *(external_files(path) if source.kind == "onnx" else ())]
        parts["weights"] = files_digest(files)
    if source.kind == "ultralytics":
        # Its code makes the network of the file, and the random weights of a yaml.
        parts.update(tools("ultralytics"))
    if source.arch is not None:
        parts["arch"] = source.arch
        code = _code(source.arch.rpartition(":")[0])
        if code is not None:
            parts["arch code"] = sha256_file(code)
    return parts


@functools.cache
def tools(*libraries: str, by: tuple[str, ...] = ()) -> dict[str, str]:
    """What does the work: libraries by version, edgekit's own modules by content.

    Args:
        libraries: Names of distributions; one that is not installed has no part.
        by: Modules of edgekit that make the step; all that they lead to counts too.
    """
    found = {"edgekit": sources(*by)[:12]} if by else {}
    for name in libraries:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _code(module: str) -> Path | None:
    """The file of `--arch MODULE:…` or `--arch file.py:…`, found without importing anything."""
    if module.endswith(".py"):
        return Path(module) if Path(module).is_file() else None
    place: Sequence[str] | None = None
    names = module.split(".")
    for depth in range(1, len(names) + 1):
        found = importlib.machinery.PathFinder.find_spec(".".join(names[:depth]), place)
        if found is None:
            return None
        if depth == len(names):
            return Path(found.origin) if found.origin and Path(found.origin).is_file() else None
        place = found.submodule_search_locations
        if place is None:
            return None
    return None
