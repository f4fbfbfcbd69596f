"""Group commit: many finished calls are made safe with one synced write.

Whatever finishes while one write is under way goes into the next: alone at leisure, hundreds together under load. One
thread writes a group as *one* statement; for one a row, it would have to win the interpreter lock back each time.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, partial
from weakref import WeakKeyDictionary

from posology.errors import StoreError
from posology.llm.calls import COLUMNS, OUTCOME, Call, Outcome, Row, outcome_of, row_of

ROWS_A_STATEMENT = 256

_ROW = f"({', '.join('?' * len(COLUMNS))})"
_NO_ROW: Row = (None,) * len(COLUMNS)


def insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> int:
    """Inserts rows with one statement, which is one transaction; a second final row of a key is left out.

    The statement is for the next power of two, filled up with rows without a key, which it passes over: SQLite keeps a
    statement with its last values for the next time, and 256 of them, one a size, would hold 100 MB of prompts.

    Returns:
        How many were new.
    """
    if not rows:
        return 0
    size = 1 << (len(rows) - 1).bit_length()
    values = [value for row in (*rows, *[_NO_ROW] * (size - len(rows))) for value in row]
    return connection.execute(_statement(size), values).rowcount


@cache
def _statement(size: int) -> str:
    return (
        f"INSERT INTO calls ({', '.join(COLUMNS)}) SELECT * FROM (VALUES {', '.join([_ROW] * size)}) "
        "WHERE column1 IS NOT NULL ON CONFLICT (key) WHERE final = 1 DO NOTHING"
    )


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A call that somebody waits for."""

    call: Call
    row: Row
    future: asyncio.Future[Outcome]


class Committer:
    """The one writer of a process.

    Args:
        connect: Opens the file.
        explained: Context that turns SQLite's errors into a StoreError.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], explained: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._connect = connect
        self._explained = explained
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()
        self._closed = False

    async def commit(self, call: Call) -> Outcome:
        """Returns what stands in the ledger for the call's key, once it is safe.

        Raises:
            StoreError: It could not be written.
        """
        if self._closed:
            raise StoreError("the ledger is closed.")
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues[loop] = _Queue(loop, self._thread, self._write)
        return await queue.add(call)

    def close(self) -> None:
        """Commits what is left, even if nobody waits for it any more, and ends the thread."""
        if self._closed:
            return
        self._closed = True
        left = [waiting for queue in self._queues.values() for waiting in queue.take()]
        try:
            for start in range(0, len(left), ROWS_A_STATEMENT):
                self._thread.submit(self._write, left[start : start + ROWS_A_STATEMENT]).result()
        finally:
            self._thread.shutdown()
            if self._connection is not None:
                self._connection.close()

    def _write(self, group: list[_Waiting]) -> list[Outcome]:
        """Commits a group, in the thread.

        Returns:
            What stands for each call.
        """
        with self._explained():
            if self._connection is None:
                self._connection = self._connect()
            if insert(self._connection, [waiting.row for waiting in group]) == len(group):
                return [waiting.call.outcome for waiting in group]
            return [_standing(self._connection, waiting.call) for waiting in group]


def _standing(connection: sqlite3.Connection, call: Call) -> Outcome:
    """The outcome that is in the ledger: perhaps another process's, which came first."""
    row = connection.execute(f"SELECT {OUTCOME} FROM calls WHERE key = ? AND final = 1", (call.key,)).fetchone()
    return call.outcome if row is None or not call.final else outcome_of(row)


class _Queue:
    """The calls of one event loop that wait for the thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: ThreadPoolExecutor,
        write: Callable[[list[_Waiting]], list[Outcome]],
    ) -> None:
        self._loop = loop
        self._thread = thread
        self._write = write
        self._waiting: list[_Waiting] = []
        self._busy = False

    def add(self, call: Call) -> asyncio.Future[Outcome]:
        """Puts a call into the next group; the future is done when it is safe."""
        future = self._loop.create_future()
        self._waiting.append(_Waiting(call, row_of(call), future))
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._hand_over)
        return future

    def take(self) -> list[_Waiting]:
        """Takes everything that was not handed to the thread."""
        taken, self._waiting = self._waiting, []
        return taken

    def _hand_over(self) -> None:
        group, self._waiting = self._waiting[:ROWS_A_STATEMENT], self._waiting[ROWS_A_STATEMENT:]
        if not group:
            self._busy = False
            return
        job = self._loop.run_in_executor(self._thread, self._write, group)
        job.add_done_callback(partial(self._deliver, group))

    def _deliver(self, group: list[_Waiting], job: asyncio.Future[list[Outcome]]) -> None:
        """Wakes those who wait, and hands over whatever has finished meanwhile."""
        error = StoreError("the ledger was closed.") if job.cancelled() else job.exception()
        for place, waiting in enumerate(group):
            if waiting.future.cancelled():
                continue
            if error is not None:
                waiting.future.set_exception(error)
            else:
                waiting.future.set_result(job.result()[place])
        self._hand_over()
