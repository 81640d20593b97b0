"""Measurements and comparisons read as the subjects of a page of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgekit.benchmarks.report.measured import BenchSubject, Compared
from edgekit.benchmarks.report.measured_charts import Series
from edgekit.core.documents import CompareDocument
from edgekit.core.errors import BadInput
from edgekit.core.json_text import read_json
from edgekit.jobs.results.raw import RawSamples, read_samples
from edgekit.jobs.results.reading import read_result, run_number

__all__ = ["measurements"]

_COMPARE = "compare.json"


def measurements(sources: Sequence[Path]) -> list[BenchSubject | Compared] | None:
    """Read results of `bench`, `bench --against` and `compare`.

    Args:
        sources: As they were typed: folders, files, or runs of the store.

    Returns:
        One for each; None where one of them is something else.

    Raises:
        BadInput: One is damaged.
    """
    found: list[BenchSubject | Compared] = []
    for path in sources:
        kind = _kind(path)
        if kind == "bench":
            result = read_result(str(path))
            series = {place: _series(raw) for place, raw in result.samples.items()}
            name = path.resolve().name if path.exists() else result.name
            found.append(BenchSubject(name, result.document, series, result.damage))
        elif kind == "compare":
            found.append(_compared(path))
        else:
            return None
    return found


def _kind(path: Path) -> str:
    if not path.exists():
        return "bench" if run_number(str(path)) is not None else ""
    if path.is_dir():
        if (path / "manifest.json").exists():
            return ""
        present = [kind for kind in ("bench", "compare") if (path / f"{kind}.json").is_file()]
        return present[0] if present else ""
    try:
        head = read_json(path, _Head)
    except BadInput:
        return ""
    return head.schema.removeprefix("edgekit.").partition("/")[0]


class _Head(msgspec.Struct):
    schema: str = ""


def _compared(path: Path) -> Compared:
    file = path / _COMPARE if path.is_dir() else path
    document = read_json(file, CompareDocument, hint="Make it again.")
    series: dict[str, Series] = {}
    # A document may come from anyone: samples are looked for beside it and nowhere else.
    for sample in sorted((file.parent / "samples").glob("*.npz")) if document.samples else []:
        raw = read_samples(sample)
        if raw is not None:
            series[sample.stem] = _series(raw)
    return Compared(path.resolve().name, document, series)


def _series(raw: RawSamples) -> Series:
    return Series(raw.samples_ns, raw.blocks, raw.block_starts_ns)
