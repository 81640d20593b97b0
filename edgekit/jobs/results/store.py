"""The store of results: every measurement, found again by its number.

Layout of its folder::

    results.sqlite              runs, entries, machines
    results-2.sqlite            the same for what came after results.sqlite was damaged
    samples/RUN-UID/NAME.npz    raw samples of one entry, and what they belong to
    .lock                       held while a database is made

A samples file is written before its row and says itself what it belongs to, so the samples folder
alone is enough to make the databases again. A damaged database is read as far as it goes and never
written, replaced or removed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
from filelock import FileLock

from edgekit.benchmarks.environment import identity_sha256
from edgekit.core.documents import BenchDocument, BenchEntry, Environment
from edgekit.core.errors import BadInput
from edgekit.core.files import writing
from edgekit.core.json_text import parse_json
from edgekit.core.manifest import entry_name
from edgekit.core.private import make_private
from edgekit.core.progress import Progress
from edgekit.jobs.results.database import Damaged, Database
from edgekit.jobs.results.raw import RawSamples, StoredResult, read_samples
from edgekit.jobs.results.record import SampleRecord
from edgekit.jobs.results.rows import EntryRow, RunRow, StoreContents
from edgekit.jobs.results.writing import write_samples

__all__ = ["Listing", "ResultStore", "StoredRun", "results_folder"]

_HINT = "`edgekit results list` shows those that there are."


def results_folder() -> Path:
    """Folder of the store: EDGEKIT_RESULTS, or one of the user's data folder."""
    chosen = os.environ.get("EDGEKIT_RESULTS")
    return Path(chosen) if chosen else platformdirs.user_data_path("edgekit") / "results"


@dataclass(frozen=True)
class StoredRun:
    """A run with what names it.

    Attributes:
        uid: Names it wherever it is copied to.
        document: With its number, its entries and absolute paths of samples.
        keys: One an entry, in the entries' order.
        damage: What of it could not be read, each a sentence.
    """

    number: int
    uid: str
    document: BenchDocument
    keys: tuple[str, ...]
    damage: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """What the store holds.

    Attributes:
        runs: Newest first.
        damage: What could not be read, each a sentence.
    """

    runs: tuple[StoredRun, ...]
    damage: tuple[str, ...]


class ResultStore:
    """A folder of results. Several processes may use one at the same time.

    Args:
        folder: None takes `results_folder()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (results_folder() if folder is None else folder).absolute()
        # What this process began: its entries get a home although its row is lost meanwhile.
        self._begun: dict[int, tuple[str, BenchDocument]] = {}
        # Databases whose damage showed only when they were written.
        self._damaged: dict[Path, str] = {}

    def begin(self, document: BenchDocument, *, progress: Progress | None = None) -> int:
        """Store a run without entries, so that each can be added as soon as it is measured.

        Args:
            document: Its entries and its number are left out.
            progress: Told where it is stored, where the usual database is damaged.

        Returns:
            The number of the run.

        Raises:
            Unwritable: The folder cannot be written or the disk is full.
            BadInput: The database was written by a newer edgekit.
        """
        return self.begin_as(uuid.uuid4().hex, document, progress=progress)

    def begin_as(
        self,
        uid: str,
        document: BenchDocument,
        *,
        number: int | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Store a run that has a uid, and perhaps a number, already; see `begin`."""
        document = msgspec.structs.replace(document, entries=(), run=None)
        given = number
        while True:
            database = self._home(progress)
            row, identity = _run_row(given or 0, uid, document)
            try:
                number = database.add_run(
                    row, identity, above=None if given else self._highest_elsewhere(database)
                )
            except Damaged as damaged:
                self._damaged[database.path] = str(damaged)
                continue
            # Its folder holds the number, whatever becomes of the database.
            folder = self.samples_folder / f"{number}-{uid[:8]}"
            with writing(folder):
                make_private(folder)
            self._begun[number] = (uid, document)
            return number

    def add(
        self,
        run: int,
        entry: BenchEntry,
        samples: RawSamples | None,
        *,
        key: str = "",
        progress: Progress | None = None,
    ) -> BenchEntry:
        """Store one entry of a run: first its samples file, then its row.

        Args:
            run: As `begin` gave it.
            entry: The path of its samples is set here.
            samples: None where there are none.
            key: Names an entry that was stored elsewhere before.
            progress: Told where it is stored, where the usual database is damaged.

        Returns:
            The entry with the path of its samples.

        Raises:
            BadInput: There is no such run.
            Unwritable: The folder cannot be written or the disk is full. A samples file that was
                written stays; `edgekit results import` takes it in again.
        """
        uid, document = self._run(run)
        key = key or uuid.uuid4().hex
        path = Path("samples") / f"{run}-{uid[:8]}" / f"{_file_name(entry)}-{key[:8]}.npz"
        # Relative, so that the folder can be moved.
        entry = msgspec.structs.replace(
            entry, samples=path.as_posix() if samples is not None else None
        )
        record = SampleRecord(
            uid=uid,
            key=key,
            added=time.time_ns(),
            document=msgspec.structs.replace(document, entries=(entry,), run=run),
        )
        write_samples(self.folder / path, samples, record=msgspec.json.encode(record))
        row = EntryRow(run, 0, key, msgspec.json.encode(entry))
        while True:
            database = self._home(progress)
            try:
                if database.add_entry(row, uid):
                    return self._absolute(entry)
                # Its run lies in a database that is damaged by now, or gone.
                database.add_run(*_run_row(run, uid, document))
            except Damaged as damaged:
                self._damaged[database.path] = str(damaged)

    def document(self, run: int) -> StoredResult:
        """Return one run with its raw samples.

        Raises:
            BadInput: There is no such run, or nothing of it can be read.
        """
        found = self.run(run)
        samples: dict[int, RawSamples] = {}
        damage = list(found.damage)
        for place, entry in enumerate(found.document.entries):
            if entry.samples is None:
                continue
            raw = read_samples(Path(entry.samples))
            if raw is None:
                damage.append(f"The raw samples {entry.samples} are missing or damaged.")
            else:
                samples[place] = raw
        return StoredResult(f"#{run}", found.document, samples, tuple(damage))

    def run(self, number: int) -> StoredRun:
        """Return one run without its raw samples.

        Raises:
            BadInput: There is no such run, or nothing of it can be read.
        """
        listing = self._read(number)
        for one in listing.runs:
            if one.number == number:
                return one
        if listing.damage:
            raise BadInput(
                f"Run {number} cannot be read. {' '.join(listing.damage)}",
                hint=f"`{self._import}` brings back what was lost.",
            )
        raise BadInput(f"There is no run {number} in {self.folder}.", hint=_HINT)

    def runs(self) -> Listing:
        """Return every run that can be read, newest first, and what cannot."""
        return self._read(None)

    def remove(self, runs: Sequence[int]) -> None:
        """Remove runs with their samples.

        Raises:
            BadInput: There is no such run, or it lies in a damaged database, which nobody writes.
            Unwritable: The folder cannot be written.
        """
        found = {one.number: one for one in self.runs().runs}
        for number in runs:
            if number not in found:
                raise BadInput(f"There is no run {number} in {self.folder}.", hint=_HINT)
        for database in self._databases():
            here = {row.number for row in database.read().runs} & set(runs)
            if not here:
                continue
            try:
                database.refuse_damage()
                database.remove(sorted(here))
            except Damaged as damaged:
                raise BadInput(
                    f"{_listed(here)} cannot be removed: {database.path} is damaged ({damaged}).",
                    hint=f"`{self._import}` moves what is readable into a sound one.",
                ) from damaged
        # Rows first: a row without samples would be damage, samples without a row are only left.
        for number in runs:
            folder = self.samples_folder / f"{number}-{found[number].uid[:8]}"
            with writing(folder):
                shutil.rmtree(folder, ignore_errors=True)
            self._begun.pop(number, None)

    @property
    def samples_folder(self) -> Path:
        """Where the samples files lie."""
        return self.folder / "samples"

    @property
    def _import(self) -> str:
        return f"edgekit results import {shlex.quote(str(self.samples_folder))}"

    def _run(self, number: int) -> tuple[str, BenchDocument]:
        if number not in self._begun:
            found = self.run(number)
            document = msgspec.structs.replace(found.document, entries=(), run=None)
            self._begun[number] = (found.uid, document)
        return self._begun[number]

    def _databases(self) -> list[Database]:
        """Every database, oldest first.

        Raises:
            BadInput: There is a file in the folder's place.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise BadInput(
                f"{self.folder} is a file, and results lie in a folder.",
                hint="Set EDGEKIT_RESULTS to another path.",
            )
        numbers = []
        for path in self.folder.glob("results*.sqlite"):
            match = re.fullmatch(r"results(?:-(\d+))?\.sqlite", path.name)
            if match:
                numbers.append((int(match[1] or 1), path))
        return [Database(path) for _, path in sorted(numbers)]

    def _home(self, progress: Progress | None) -> Database:
        """The database that is written: the newest, or a new one where that is damaged."""
        lock = self.folder / ".lock"
        with writing(self.folder / "results.sqlite"):
            make_private(self.folder)
            held = FileLock(lock)
            held.acquire()
        try:
            databases = self._databases()
            if not databases:
                database = Database(self.folder / "results.sqlite")
                database.create()
                return database
            newest = databases[-1]
            try:
                if newest.path in self._damaged:
                    raise Damaged(self._damaged[newest.path])
                newest.refuse_damage()
            except Damaged as damaged:
                database = Database(self._next(newest.path))
                database.create()
                if progress is not None:
                    progress.note(
                        f"The store {newest.path} is damaged ({damaged}) and stays as it is; new "
                        f"results go into {database.path}."
                    )
                return database
            return newest
        finally:
            held.release()

    def _next(self, path: Path) -> Path:
        number = int(path.stem.partition("-")[2] or 1)
        return self.folder / f"results-{number + 1}.sqlite"

    def _numbered_samples(self) -> int:
        """The highest number that a folder of samples has."""
        found = [
            int(one.name.partition("-")[0])
            for one in self.samples_folder.glob("*-*")
            if re.fullmatch(r"[0-9]{1,9}-[0-9a-f]{8}", one.name)
        ]
        return max(found, default=0)

    def _highest_elsewhere(self, home: Database) -> int:
        """The highest number that is taken outside of one database."""
        samples = self._numbered_samples()
        others = [one for one in self._databases() if one.path != home.path]
        taken = [row.number for one in others for row in one.read(highest=samples).runs]
        return max([samples, *taken])

    def _read(self, number: int | None) -> Listing:
        highest = self._numbered_samples()
        parts = [(one.path, one.read(number, highest=highest)) for one in self._databases()]
        damage = [
            f"{path} is damaged: {_one_by_one(contents.damage)}."
            for path, contents in parts
            if contents.damage
        ]
        identities: dict[str, bytes] = {}
        for _, contents in parts:
            identities.update(contents.identities)
        rows: dict[int, RunRow] = {}
        for _, contents in parts:
            rows.update({row.number: row for row in contents.runs})
        runs = []
        for row in sorted(rows.values(), key=lambda one: one.number, reverse=True):
            run = self._stored(row, identities, [contents for _, contents in parts])
            if run is None:
                damage.append(f"Run {row.number} is of another schema and cannot be read.")
            else:
                runs.append(run)
        return Listing(tuple(runs), tuple(damage))

    def _stored(
        self, row: RunRow, identities: Mapping[str, bytes], parts: Iterable[StoreContents]
    ) -> StoredRun | None:
        """Lay a run together from its rows."""
        try:
            document = parse_json(row.document, f"run {row.number}", BenchDocument)
        except BadInput:
            return None
        damage = []
        entries: dict[str, BenchEntry] = {}
        for contents in parts:
            uids = {one.uid for one in contents.runs if one.number == row.number}
            if uids and row.uid not in uids:
                # Another run of the same number; where its row is damaged, entries still count.
                continue
            for one in contents.entries:
                if one.run != row.number:
                    continue
                try:
                    entry = parse_json(one.document, f"run {row.number}", BenchEntry)
                except BadInput:
                    damage.append(f"Entry {one.place + 1} of run {row.number} has another schema.")
                    continue
                entries[one.key] = self._absolute(entry)
        identity = _identity_of(identities.get(row.environment, b""), row.environment)
        if identity is None:
            damage.append(f"The machine of run {row.number} cannot be read.")
        environment = Environment(
            identity=identity or {},
            observed=document.environment.observed,
            sha256=row.environment,
        )
        document = msgspec.structs.replace(
            document,
            environment=environment,
            entries=tuple(entries.values()),
            run=row.number,
        )
        return StoredRun(row.number, row.uid, document, tuple(entries), tuple(damage))

    def _absolute(self, entry: BenchEntry) -> BenchEntry:
        if entry.samples is None:
            return entry
        return msgspec.structs.replace(entry, samples=str(self.folder / entry.samples))


def _run_row(number: int, uid: str, document: BenchDocument) -> tuple[RunRow, bytes]:
    """Return a run's row, and the identity of its machine for a table of its own."""
    environment = document.environment
    sha256 = identity_sha256(environment.identity)
    bare = msgspec.structs.replace(environment, identity={}, sha256=sha256)
    document = msgspec.structs.replace(document, environment=bare, entries=(), run=None)
    row = RunRow(number, uid, sha256, msgspec.json.encode(document))
    return row, msgspec.json.encode(environment.identity, order="sorted")


def _identity_of(content: bytes, sha256: str) -> dict[str, Any] | None:
    """The identity of a machine; None where it is not the one of that sha256 any more."""
    try:
        identity = parse_json(content, "the machine of a run", dict[str, Any])
    except BadInput:
        return None
    return identity if identity_sha256(identity) == sha256 else None


def _file_name(entry: BenchEntry) -> str:
    words = entry_name(entry.target, entry.variant or "none", entry.compute)
    return f"{words}-{entry.boundary}-batch{entry.batch}"


def _listed(runs: Iterable[int]) -> str:
    numbers = sorted(runs)
    head = "Run" if len(numbers) == 1 else "Runs"
    return f"{head} {', '.join(map(str, numbers))}"


def _one_by_one(damage: Sequence[str]) -> str:
    """What is lost, so that a sentence stays one."""
    shown = list(damage[:5])
    more = len(damage) - len(shown)
    return "lost are " + ", ".join(shown) + (f" and {more} more" if more else "")
