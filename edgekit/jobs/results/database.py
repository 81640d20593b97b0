"""One SQLite file of results: made whole, written in transactions, read even when damaged.

Tables (user_version 1)::

    environments  sha256, identity                     a machine's identity, stored once
    runs          number, uid, environment, document   environment is a sha256 of the first table
    entries       id, key, document                    id is the run's number * 2**20 + place

Every document is JSON, so keys may be added without another schema. Every row of runs and entries
has the sha256 of what it holds: SQLite itself does not see a flipped byte in a text. An entry is
found by its id alone and no table has an index, so that one damaged page takes few rows with it.

The rollback journal and not the write-ahead log: writes are rare, the file can be copied while
nobody writes, and network folders do not carry shared memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from edgekit.core.errors import BadInput, Unwritable
from edgekit.core.files import atomic_path
from edgekit.jobs.results.rows import (
    EntryRow,
    RunRow,
    StoreContents,
    highest_number,
    number_of,
    read_all,
    read_pieces,
    span,
)

__all__ = ["Damaged", "Database"]

_VERSION = 1
# "edkt": tells a store from any other SQLite file.
_APPLICATION = 0x65646B74
_WAIT_SECONDS = 60.0
_TABLES = """
CREATE TABLE environments (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, identity TEXT NOT NULL);
CREATE TABLE runs (number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL,
    environment TEXT NOT NULL, document TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL, document TEXT NOT NULL,
    sha256 TEXT NOT NULL);
"""
_HINT = "Free some space, or set EDGEKIT_RESULTS to another folder."


class Damaged(Exception):
    """The file is no sound store; the text says why. Nothing was written into it."""


class Database:
    """One SQLite file. Every call opens and closes it, so it may come and go between them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make the file with empty tables, whole or not at all.

        Raises:
            Unwritable: It cannot be written.
        """
        with (
            atomic_path(self.path) as temporary,
            self._in_words(),
            closing(sqlite3.connect(temporary, isolation_level=None)) as connection,
        ):
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.executescript(_TABLES)

    def refuse_damage(self) -> None:
        """Look whether it may be written into.

        Raises:
            Damaged: It is damaged, or something else.
            BadInput: It was written by a newer edgekit.
            Unwritable: It cannot be opened for a reason that is no damage.
        """
        with self._in_words(), closing(self._open()) as connection:
            (word,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if word != b"ok":
            raise Damaged(" ".join(str(word, errors="replace").split()))

    def add_run(self, row: RunRow, identity: bytes, *, above: int | None = None) -> int:
        """Store a run without entries; one that is there stays as it is.

        Args:
            row: Its number counts only where `above` is None.
            identity: Of its environment, JSON.
            above: Take the next free number, higher than this one.

        Returns:
            Its number.

        Raises:
            Damaged: The file is damaged.
            Unwritable: It cannot be written; it is as it was.
        """
        with self._transaction() as connection:
            number = row.number
            if above is not None:
                number = max(above, highest_number(connection)) + 1
            known = {sha for (sha,) in connection.execute("SELECT sha256 FROM environments")}
            if row.environment.encode() not in known:
                connection.execute(
                    "INSERT INTO environments (sha256, identity) VALUES (?, ?)",
                    (row.environment, identity.decode()),
                )
            connection.execute(
                "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?)",
                (number, row.uid, row.environment, row.document.decode(), row.sha256),
            )
        return number

    def add_entry(self, row: EntryRow, uid: str) -> bool:
        """Store an entry behind those that its run has, whatever its place.

        Args:
            row: The entry.
            uid: Of its run.

        Returns:
            False where the run is not here; nothing is written then.

        Raises:
            Damaged: The file is damaged.
            Unwritable: It cannot be written; it is as it was.
        """
        first, last = span(row.run, row.run)
        with self._transaction() as connection:
            run = connection.execute(
                "SELECT 1 FROM runs WHERE number = ? AND uid = ?", (row.run, uid)
            ).fetchone()
            if run is None:
                return False
            highest = number_of(
                connection,
                "SELECT max(id) FROM entries WHERE id BETWEEN ? AND ?",
                (first, last),
            )
            connection.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?)",
                (highest + 1 if highest else first, row.key, row.document.decode(), row.sha256),
            )
        return True

    def remove(self, runs: Sequence[int]) -> None:
        """Remove runs with their entries, and the machines that no run names any more.

        Raises:
            Damaged: The file is damaged.
            Unwritable: It cannot be written; it is as it was.
        """
        with self._transaction() as connection:
            for number in runs:
                connection.execute(
                    "DELETE FROM entries WHERE id BETWEEN ? AND ?", span(number, number)
                )
                connection.execute("DELETE FROM runs WHERE number = ?", (number,))
            connection.execute(
                "DELETE FROM environments WHERE sha256 NOT IN (SELECT environment FROM runs)"
            )

    def read(self, run: int | None = None, *, highest: int = 0) -> StoreContents:
        """Read every run, or one; where the file is damaged, what of it can be read.

        Args:
            run: Its number; None for all.
            highest: Number of a run that may be there; how far a damaged file is searched.

        Raises:
            BadInput: It was written by a newer edgekit.
            Unwritable: It cannot be opened for a reason that is no damage.
        """
        try:
            with self._in_words(), closing(self._open()) as connection:
                # One state of all tables, whatever others write meanwhile.
                connection.execute("BEGIN")
                return read_all(connection, run)
        except Damaged as damaged:
            try:
                with closing(self._connect("mode=ro&immutable=1")) as connection:
                    # Otherwise a file that is shorter than it says is refused as a whole.
                    connection.execute("PRAGMA writable_schema = ON")
                    found = read_pieces(connection, run, highest)
            except sqlite3.Error:
                return StoreContents(damage=[f"nothing of it can be read ({damaged})"])
            if not (found.runs or found.damage):
                found.damage.append(f"nothing of it can be read ({damaged})")
            return found

    def _open(self) -> sqlite3.Connection:
        """Open it after a look at what it is.

        For writing as well, because a journal that a dead process left is rolled back first.
        """
        # SQLite takes an empty file for a new database; no file of ours is ever empty.
        if self.path.stat().st_size == 0:
            raise Damaged("it is empty")
        connection = self._connect("mode=rw")
        try:
            if number_of(connection, "PRAGMA application_id") != _APPLICATION:
                raise Damaged("it is no store of edgekit")
            version = number_of(connection, "PRAGMA user_version")
        except BaseException:
            connection.close()
            raise
        if version > _VERSION:
            connection.close()
            raise BadInput(
                f"{self.path} was written by a newer edgekit (its schema is {version}, this one "
                f"knows {_VERSION}).",
                hint="Update edgekit, or set EDGEKIT_RESULTS to another folder.",
            )
        return connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?{mode}"
        connection = sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)
        # A damaged text is no UTF-8.
        connection.text_factory = bytes
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._in_words(), closing(self._open()) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            # At once: two that read first and write then would lock each other out.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Turn SQLite's errors into damage, and into sentences about the disk."""
        try:
            yield
        except OSError as error:
            raise Damaged((error.strerror or str(error)).lower()) from error
        except sqlite3.Error as error:
            text = str(error)
            if "locked" in text:
                raise Unwritable(
                    f"{self.path} is held by another process.",
                    hint="Try again when that one is done.",
                ) from error
            # Its own class is for "malformed" and "not a database"; a damaged header or schema
            # shows in other ways.
            if type(error) is sqlite3.DatabaseError or text.startswith(("no such", "unsupported")):
                raise Damaged(text) from error
            raise Unwritable(f"{self.path} cannot be used: {text}.", hint=_HINT) from error
