"""Rows of a store's file, read in one go or, where it is damaged, piece by piece."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = [
    "PLACES",
    "EntryRow",
    "RunRow",
    "StoreContents",
    "highest_number",
    "number_of",
    "read_all",
    "read_pieces",
    "span",
]

# An entry's id is the number of its run times this, plus its place.
PLACES = 1 << 20
_ENTRIES = "SELECT id, key, document, sha256 FROM entries WHERE id BETWEEN ? AND ? ORDER BY id "
_ENDS = {order: _ENTRIES + order for order in ("ASC", "DESC")}
_FURTHEST = (1 << 40) - 1
# How far a damaged file is searched at most; every number costs microseconds.
_SEARCHED = 100_000


@dataclass(frozen=True)
class RunRow:
    """A run as it is stored.

    Attributes:
        uid: Names the run wherever it is copied to.
        environment: sha256 of the machine's identity.
        document: JSON without the identity and without entries.
    """

    number: int
    uid: str
    environment: str
    document: bytes

    @property
    def sha256(self) -> str:
        """Of everything but the number, which is the key."""
        return _sha256(self.uid.encode(), self.environment.encode(), self.document)


@dataclass(frozen=True)
class EntryRow:
    """An entry of a run as it is stored.

    Attributes:
        run: Number of its run.
        place: Among the entries of its run.
        key: Names the entry wherever it is copied to.
        document: JSON.
    """

    run: int
    place: int
    key: str
    document: bytes

    @property
    def sha256(self) -> str:
        """Of everything but the place, which is the key."""
        return _sha256(self.key.encode(), self.document)


@dataclass
class StoreContents:
    """What could be read.

    Attributes:
        identities: sha256 to the machine's identity as JSON.
        damage: What could not be read, in words: "run 4", "entries of run 5".
    """

    runs: list[RunRow] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    identities: dict[str, bytes] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)


def span(low: int, high: int) -> tuple[int, int]:
    """First and last id that entries of the runs `low` to `high` may have."""
    return low * PLACES, high * PLACES + PLACES - 1


def number_of(connection: sqlite3.Connection, query: str, values: tuple[int, ...] = ()) -> int:
    """Return the one number that a query gives; 0 where it gives none."""
    row = connection.execute(query, values).fetchone()
    return row[0] if row and isinstance(row[0], int) else 0


def highest_number(connection: sqlite3.Connection) -> int:
    """Return the highest number that a run has or had, so that none is given twice.

    Raises:
        sqlite3.Error: The table is damaged.
    """
    return max(
        number_of(connection, "SELECT max(number) FROM runs"),
        number_of(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'runs'"),
    )


def read_all(connection: sqlite3.Connection, run: int | None) -> StoreContents:
    """Read every run, or one.

    Raises:
        sqlite3.Error: A page is damaged.
    """
    low, high = (0, _FURTHEST) if run is None else (run, run)
    found = StoreContents()
    _take_runs(connection, low, high, found)
    _take_entries(connection, low, high, found)
    _take_identities(connection, found)
    return found


def read_pieces(connection: sqlite3.Connection, run: int | None, highest: int) -> StoreContents:
    """Read what can be read, by ever smaller ranges of numbers.

    Args:
        connection: To the damaged file.
        run: Its number; None for all.
        highest: Number of a run that may be there, for a file that does not tell it.
    """
    low, high = (1, highest) if run is None else (run, run)
    if run is None:
        with contextlib.suppress(sqlite3.Error):
            high = max(high, highest_number(connection))
        high = min(high, _SEARCHED)
    found = StoreContents()
    for one, several, take in (
        ("run", "runs", _take_runs),
        ("entries of run", "entries of runs", _take_entries),
    ):
        lost = list(_lost(connection, take, low, high, found))
        found.damage += [
            f"{one} {first}" if first == last else f"{several} {first} to {last}"
            for first, last in _ranges(lost)
        ]
    for number in {row.run for row in found.entries} - {row.number for row in found.runs}:
        if f"run {number}" not in found.damage:
            found.damage.append(f"run {number}")
    try:
        _take_identities(connection, found)
    except sqlite3.Error:
        found.damage.append("the machines")
    return found


_Take = Callable[[sqlite3.Connection, int, int, StoreContents], None]


def _lost(
    connection: sqlite3.Connection, take: _Take, low: int, high: int, found: StoreContents
) -> Iterator[int]:
    """Take what can be taken of the runs `low` to `high`; yield the numbers that cannot."""
    if low > high:
        return
    try:
        take(connection, low, high, found)
    except sqlite3.Error:
        if low == high:
            yield low
            if take is _take_entries:
                _take_ends(connection, low, found)
            return
        middle = (low + high) // 2
        yield from _lost(connection, take, low, middle, found)
        yield from _lost(connection, take, middle + 1, high, found)


def _take_runs(connection: sqlite3.Connection, low: int, high: int, found: StoreContents) -> None:
    rows = connection.execute(
        "SELECT number, uid, environment, document, sha256 FROM runs "
        "WHERE number BETWEEN ? AND ? ORDER BY number",
        (low, high),
    ).fetchall()
    for number, *held, sha256 in rows:
        texts = _texts(held[:2])
        if texts is not None and isinstance(held[2], bytes):
            row = RunRow(number, texts[0], texts[1], held[2])
            if row.sha256.encode() == sha256:
                found.runs.append(row)
                continue
        found.damage.append(f"run {number}")


def _take_entries(
    connection: sqlite3.Connection, low: int, high: int, found: StoreContents
) -> None:
    rows = connection.execute(
        _ENDS["ASC"],
        span(low, high),
    ).fetchall()
    for row in rows:
        _take_entry(row, found)


def _take_ends(connection: sqlite3.Connection, run: int, found: StoreContents) -> None:
    """Take the entries of one run that lie before and behind a damaged page."""
    seen: set[int] = set()
    for order in _ENDS:
        try:
            for row in connection.execute(
                _ENDS[order],
                span(run, run),
            ):
                if row[0] in seen:
                    break
                seen.add(row[0])
                _take_entry(row, found)
        except sqlite3.Error:
            continue
    found.entries.sort(key=lambda one: (one.run, one.place))


def _take_entry(values: tuple[int, object, object, object], found: StoreContents) -> None:
    run, place = divmod(values[0], PLACES)
    texts = _texts([values[1]])
    if texts is not None and isinstance(values[2], bytes):
        row = EntryRow(run, place, texts[0], values[2])
        if row.sha256.encode() == values[3]:
            found.entries.append(row)
            return
    found.damage.append(f"entry {place + 1} of run {run}")


def _take_identities(connection: sqlite3.Connection, found: StoreContents) -> None:
    for sha256, identity in connection.execute("SELECT sha256, identity FROM environments"):
        texts = _texts([sha256])
        if texts is not None and isinstance(identity, bytes):
            found.identities[texts[0]] = identity


def _texts(values: list[object]) -> list[str] | None:
    """Decode what should be ASCII; None where it is not any more."""
    try:
        texts = [value.decode("ascii") for value in values if isinstance(value, bytes)]
    except UnicodeDecodeError:
        return None
    return texts if len(texts) == len(values) else None


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbours, first and last of each."""
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


def _sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
