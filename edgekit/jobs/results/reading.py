"""A stored result by its path or its number: the document, and the raw samples."""

from __future__ import annotations

import re
from pathlib import Path

from edgekit.core.documents import BenchDocument
from edgekit.core.errors import BadInput
from edgekit.core.json_text import read_json
from edgekit.jobs.results.raw import RawSamples, StoredResult, read_samples
from edgekit.jobs.results.store import ResultStore

__all__ = ["read_result", "run_number"]

_NAME = "bench.json"


def read_result(text: str) -> StoredResult:
    """Read a result.

    Args:
        text: A folder with `bench.json`, a JSON file of `edgekit bench`, or a run of the store:
            its number ("12", "#12"), "last", or "last~1" for the one before. A path that exists
            goes before a number.

    Raises:
        BadInput: There is no such result, it is damaged, or of another schema.
    """
    path = Path(text)
    number = None if path.exists() else run_number(text)
    if number is not None:
        return ResultStore().document(number)
    file = path / _NAME if path.is_dir() else path
    hint = "Give what `edgekit bench -o DIR` wrote, or a number of `edgekit results list`."
    document = read_json(file, BenchDocument, hint=hint)
    samples: dict[int, RawSamples] = {}
    damage = []
    for place, entry in enumerate(document.entries):
        if entry.samples is None:
            continue
        beside = file.parent / "samples" / Path(entry.samples).name
        found = read_samples(beside)
        if found is None:
            damage.append(f"The raw samples {beside} are missing or damaged.")
        else:
            samples[place] = found
    return StoredResult(text, document, samples, tuple(damage))


def run_number(text: str) -> int | None:
    """Return the number of a run of the store that a text names; None where it names none.

    Raises:
        BadInput: It names the last run, or one before it, and there are not so many.
    """
    number = re.fullmatch(r"#?([0-9]{1,9})", text)
    if number:
        return int(number[1])
    last = re.fullmatch(r"last(?:~([0-9]{1,9}))?", text)
    if not last:
        return None
    back = int(last[1] or 0)
    runs = ResultStore().runs().runs
    if back >= len(runs):
        raise BadInput(
            f"{text} is not there: the store holds {len(runs)} results.",
            hint="See: edgekit results list",
        )
    return runs[back].number
