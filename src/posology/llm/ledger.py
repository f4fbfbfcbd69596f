"""The ledger: one SQLite file that remembers every finished call, so that nothing is paid for twice.

A reply is handed on only after its row is committed and synced. The file is in WAL mode: readers never wait, several
writers take turns. At most one row a key is *final* (it answers a re-run); where two processes finish the same
call, the first reply stands and both use it. Failed attempts are kept beside it, with what the server sent.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from posology.errors import StoreError
from posology.llm.calls import COLUMNS, OUTCOME, Call, Outcome, outcome_of, row_of
from posology.llm.committing import Committer, insert
from posology.llm.contract import Reply
from posology.store import write_jsonl

FORMAT = 1
APPLICATION = 0x506F736F  # "Poso", so that somebody else's SQLite file is not taken for a ledger
KEYS_A_QUERY = 500
ROWS_A_COMMIT = 256

_T = TypeVar("_T")

_SCHEMA = f"""
CREATE TABLE calls (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, final INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
  stage TEXT NOT NULL, status TEXT NOT NULL, request TEXT NOT NULL, reply TEXT, finish TEXT, reply_model TEXT,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, cost REAL,
  latency REAL, error TEXT, message TEXT, raw TEXT, attempts INTEGER NOT NULL, created REAL NOT NULL
);
CREATE UNIQUE INDEX final_calls ON calls (key) WHERE final = 1;
CREATE INDEX failed_calls ON calls (key) WHERE final = 0;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
"""
_LOOK_UP = f"SELECT {OUTCOME} FROM calls WHERE key = ? AND final = 1"
_STATS = """
SELECT stage, provider, model, SUM(status = 'ok'), SUM(status = 'failed'), SUM(attempts), SUM(input_tokens),
  SUM(output_tokens), SUM(cached_tokens), TOTAL(cost), SUM(status = 'ok' AND cost IS NULL)
FROM calls GROUP BY stage, provider, model ORDER BY stage, provider, model
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """What one stage asked of one model.

    Attributes:
        stage: Who asked.
        provider: Where.
        model: Whom.
        answered: Calls with a reply.
        failed: Rows of failures: calls given up, and attempts whose raw reply is kept.
        attempts: How often calls were sent, all in all.
        input_tokens: Tokens of the requests that were answered.
        output_tokens: Tokens of the replies.
        cached_tokens: Those of `input_tokens` that the provider had cached.
        cost: Money, over calls whose price is known.
        unpriced: Answered calls whose price is not.
    """

    stage: str
    provider: str
    model: str
    answered: int
    failed: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: float
    unpriced: int


class Ledger:
    """The calls of a run. Any number of tasks, threads and processes may use one file at once.

    Args:
        path: The file; made, with its folder, where there is none.
        patience: Seconds to wait while another process writes.

    Raises:
        StoreError: The file is damaged, is no ledger, comes from a newer posology, or cannot be written. It is never
            deleted or changed then.
    """

    def __init__(self, path: Path, *, patience: float = 60.0) -> None:
        self.path = path
        self._patience = patience
        self._lock = threading.Lock()
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()
        self._committer = Committer(self._open, lambda: _explained(path))

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commits what is waiting and lets go of the file; a second call does nothing."""
        self._committer.close()
        with self._lock:
            self._connection.close()

    async def write(self, call: Call) -> Outcome:
        """Writes a call, and returns once it is safe on the disk.

        Returns:
            What stands in the ledger: the call's own outcome or, where another process had answered the same key
            first, that one's.

        Raises:
            StoreError: It could not be written.
        """
        if not call.final:
            self._failed.add(call.key)
        return self._marked(call.key, await self._committer.commit(call))

    def write_all(self, calls: Iterable[Call]) -> int:
        """Writes many calls, `ROWS_A_COMMIT` a commit; those whose key has a final row already are passed over.

        Returns:
            How many rows were new.
        """
        new = 0
        for chunk in _chunks(calls, ROWS_A_COMMIT):
            with self._using() as connection:
                new += insert(connection, [row_of(call) for call in chunk])
        return new

    def look_up(self, key: str) -> Outcome | None:
        """The final outcome of a key; None if it must be (or be again) sent."""
        try:  # thousands of times a second: without the contexts that the others can afford
            with self._lock:
                row = self._connection.execute(_LOOK_UP, (key,)).fetchone()
        except sqlite3.Error:
            with self._using() as connection:
                row = connection.execute(_LOOK_UP, (key,)).fetchone()
        return None if row is None else self._marked(key, outcome_of(row))

    def answered(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that have a final outcome and would not be sent again."""
        found: set[str] = set()
        for chunk in _chunks(keys, KEYS_A_QUERY):
            marks = ",".join("?" * len(chunk))
            with self._using() as connection:
                rows = connection.execute(f"SELECT key FROM calls WHERE final = 1 AND key IN ({marks})", chunk)
                found.update(key for (key,) in rows)
        return found

    def stats(self) -> list[Totals]:
        """Calls, tokens and money by stage and model."""
        with self._using() as connection:
            return [Totals(*row) for row in connection.execute(_STATS)]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row in the order of writing, as plain JSON; memory does not grow with their number."""
        last = 0
        while True:
            with self._using() as connection:
                query = f"SELECT id, {', '.join(COLUMNS)} FROM calls WHERE id > ? ORDER BY id LIMIT {KEYS_A_QUERY}"
                page = connection.execute(query, (last,)).fetchall()
            if not page:
                return
            last = page[-1][0]
            for _, *values in page:
                row = dict(zip(COLUMNS, values, strict=True))
                yield {**row, "final": bool(row["final"]), "request": json.loads(row["request"])}

    def export(self, path: Path) -> int:
        """Writes every row as a line of JSON, whole file or none.

        Returns:
            How many.
        """
        return write_jsonl(path, self.rows())

    def gc(self, *, keep_failed: bool = False) -> int:
        """Removes failed attempts that answer nothing, and gives their room back to the disk.

        Final failures stay: they keep a call from being sent, and paid for, again.

        Args:
            keep_failed: Keep the attempts of calls that have no final outcome yet.

        Returns:
            How many rows were removed.
        """
        answered = " AND key IN (SELECT key FROM calls WHERE final = 1)" if keep_failed else ""
        with self._using() as connection:
            removed = connection.execute(f"DELETE FROM calls WHERE final = 0{answered}").rowcount
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return removed

    @cached_property
    def _failed(self) -> set[str]:
        """The keys of all calls that have failures here, answered later or not."""
        with self._using() as connection:
            return {key for (key,) in connection.execute("SELECT DISTINCT key FROM calls WHERE final = 0")}

    def _marked(self, key: str, outcome: Outcome) -> Outcome:
        """The outcome; a reply that failures stand beside says so."""
        return replace(outcome, late=True) if isinstance(outcome, Reply) and key in self._failed else outcome

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _explained(self.path):
            yield self._connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._patience, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, self._patience)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare(connection: sqlite3.Connection, patience: float) -> None:
    """Sets a connection up; makes the table in a new file.

    Raises:
        StoreError: The file is something else, or newer.
    """
    until = time.monotonic() + patience
    while True:  # the change to WAL needs the file alone, and SQLite does not wait for that by itself
        try:
            _recognise(connection)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            break
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous = FULL")  # a commit outlives a power cut, not only a kill
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _recognise(connection) == 0:
            for statement in _SCHEMA.strip().split(";\n"):
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _recognise(connection: sqlite3.Connection) -> int:
    """The format of the file, 0 for an empty one."""
    with closing(connection.execute("SELECT COUNT(*) FROM sqlite_master")) as cursor:
        tables = int(cursor.fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if tables == 0:
        return 0
    if application != APPLICATION:
        raise StoreError("the file is a database, but no ledger.", remedy="Name another one with --ledger.")
    if version > FORMAT:
        raise StoreError(f"the ledger has format {version}, newer than this posology.", remedy="Update posology.")
    return version


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what SQLite complains of into an error that says what to do."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{path}: {error.message}", remedy=error.remedy) from None
    except sqlite3.ProgrammingError as error:
        if "closed" not in str(error):
            raise
        raise StoreError(f"{path}: the ledger is closed.") from error
    except sqlite3.Error as error:
        raise _store_error(error, path) from error
    except OSError as error:
        raise StoreError(f"cannot make {path}: {error.strerror}.", remedy="Check the path and permissions.") from error


def _store_error(error: sqlite3.Error, path: Path) -> StoreError:
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(f"{path} is held by another process.", remedy="Wait for it to end and run again.")
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return StoreError(
                f"no room left on the disk, or a broken one, while writing {path}.",
                remedy="Free some space and run the same command again; every call in the ledger is kept.",
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreError(f"cannot open or write {path}.", remedy="Check the path and its permissions.")
        case _:
            return StoreError(
                f"the ledger {path} is damaged ({error}).",
                remedy="Nothing was deleted. Move it aside, or try `sqlite3 FILE .recover` to save what it holds.",
            )


def _code(error: sqlite3.Error) -> int:
    """The primary result code."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _chunks(items: Iterable[_T], size: int) -> Iterator[Sequence[_T]]:
    """Lists of at most `size` items."""
    chunk: list[_T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
