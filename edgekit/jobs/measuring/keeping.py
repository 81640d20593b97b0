"""A result that grows on disk: whole after every cell, so that nothing measured is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edgekit.benchmarks.environment import differences
from edgekit.core.destination import Destination
from edgekit.core.documents import BenchDocument, BenchEntry
from edgekit.core.errors import BadInput, Unwritable
from edgekit.core.files import pretty_json, write_bytes
from edgekit.core.json_text import read_json
from edgekit.core.progress import Progress
from edgekit.jobs.measuring.cells import Cell
from edgekit.jobs.measuring.entries import raw_samples, samples_name
from edgekit.jobs.measuring.prepare import PreparedCell
from edgekit.jobs.process.worker import EntryFigures
from edgekit.jobs.results.raw import RawSamples
from edgekit.jobs.results.store import ResultStore
from edgekit.jobs.results.writing import write_samples

__all__ = ["RESULT", "Keeper", "finished_before"]

RESULT = "bench.json"


class Keeper:
    """Collects entries in the order of their cells and writes them as they come.

    Args:
        document: Without entries.
        cells: Every cell that is to be measured.
        folder: Where the result goes; None keeps it in the store alone.
        store: Where every result goes; None for none.
        progress: Told what could not be written.
    """

    def __init__(
        self,
        document: BenchDocument,
        cells: Sequence[Cell],
        folder: Destination | None,
        store: ResultStore | None,
        progress: Progress,
    ) -> None:
        self._document = document
        self._cells = list(cells)
        self._folder = folder
        self._progress = progress
        self._store = store
        self._entries: dict[Cell, BenchEntry] = {}

    @property
    def document(self) -> BenchDocument:
        """Everything that was kept so far."""
        entries = tuple(self._entries[cell] for cell in self._cells if cell in self._entries)
        return msgspec.structs.replace(self._document, entries=entries)

    def keep(
        self,
        cell: Cell,
        entry: BenchEntry,
        prepared: PreparedCell | None = None,
        measured: EntryFigures | None = None,
    ) -> None:
        """Keep an entry and write the result anew.

        Raises:
            BadInput: Something came into the folder's place meanwhile.
            Unwritable: It cannot be written; what was written before stays as it was, and the entry
                is told to the progress.
        """
        samples = raw_samples(measured) if measured is not None else None
        stored = self._stored(entry, samples)
        if self._folder is None:
            self._entries[cell] = stored
            return
        try:
            with self._folder.adding() as folder:
                if prepared is not None and samples is not None:
                    name = f"samples/{samples_name(prepared)}.npz"
                    write_samples(folder / name, samples)
                    entry = msgspec.structs.replace(entry, samples=str(self._folder.path / name))
                self._entries[cell] = entry
                write_bytes(folder / RESULT, pretty_json(self.document))
        except BadInput as error:
            self._progress.note(f"Not written: {msgspec.json.encode(entry).decode()}")
            if not isinstance(error, Unwritable):
                raise
            raise Unwritable(
                error.message, hint="Make room and repeat with --resume: what is written is kept."
            ) from error

    def take_over(self, cell: Cell, entry: BenchEntry) -> None:
        """Keep an entry that an earlier run measured, and stored."""
        self._entries[cell] = entry

    def _stored(self, entry: BenchEntry, samples: RawSamples | None) -> BenchEntry:
        """Put an entry into the store; a store that cannot be written loses no measurement."""
        if self._store is None:
            return entry
        try:
            if self._document.run is None:
                run = self._store.begin(self._document, progress=self._progress)
                self._document = msgspec.structs.replace(self._document, run=run)
            assert self._document.run is not None
            return self._store.add(self._document.run, entry, samples, progress=self._progress)
        except BadInput as error:
            self._progress.note(f"The store of results is left out: {error}")
            self._store = None
            return entry


def finished_before(
    folder: Path,
    document: BenchDocument,
    cells: Sequence[Cell],
    model_sha256: Callable[[Cell], str],
) -> dict[Cell, BenchEntry]:
    """Return the cells that an earlier run of the same measurement finished.

    A cell that brought no figures, or whose graph has changed since, is not among them.

    Args:
        folder: Where it wrote its result; without one nothing was finished.
        document: Of the present run, without entries.
        cells: Every cell of the present run.
        model_sha256: Of the graphs that a cell runs now.

    Raises:
        BadInput: The result is damaged, of another model, or of another machine.
    """
    path = folder / RESULT
    if not path.exists():
        return {}
    before = read_json(path, BenchDocument, hint="Leave --resume out.")
    if before.model != document.model:
        raise BadInput(
            f"{path} is of {before.model}, not of {document.model}.", hint="Leave --resume out."
        )
    if before.provider_options != document.provider_options:
        raise BadInput(
            f"{path} was measured with other provider options, so its cells cannot be kept.",
            hint="Leave --resume out.",
        )
    unlike = differences(before.environment, document.environment)
    if unlike:
        raise BadInput(
            f"{path} was measured elsewhere ({'; '.join(unlike)}), so its cells cannot be kept.",
            hint="Leave --resume out.",
        )
    found: dict[Cell, BenchEntry] = {}
    for cell in cells:
        same = [entry for entry in before.entries if entry.n and _is_of(entry, cell)]
        if same and same[0].model_sha256 == model_sha256(cell):
            found[cell] = same[0]
    return found


def _is_of(entry: BenchEntry, cell: Cell) -> bool:
    return (
        (entry.target, entry.compute, entry.scenario, entry.boundary)
        == (cell.target, cell.compute, cell.scenario, cell.measures)
        and (entry.batch, entry.threads, entry.streams, entry.rate)
        == (cell.batch, cell.threads, cell.streams, cell.rate)
        # The engine's own choice is written as the number that it chose.
        and (cell.scenario != "offline" or cell.concurrency in (None, entry.concurrency))
    )
