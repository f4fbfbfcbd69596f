"""Tasks over an iterable that is read no further ahead than there is room for."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Set
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

OBJECTS_A_COLLECTION = 20_000

T = TypeVar("T")
R = TypeVar("R")


class Crew(Generic[T, R]):
    """At most `room` tasks that work or wait for their result to be taken.

    Args:
        work: What is done with an item.
        items: What to work on.
        room: How many items are in hand at once.
        ordered: Results are taken in the order of the items.
    """

    def __init__(
        self, work: Callable[[T], Coroutine[Any, Any, R]], items: Iterable[T], *, room: int, ordered: bool
    ) -> None:
        self._work = work
        self._items = iter(items)
        self._room = room
        self._ordered = ordered
        self._alive: dict[asyncio.Task[R], None] = {}
        self._finished: deque[asyncio.Task[R]] = deque()
        self._news = asyncio.Event()

    @property
    def alive(self) -> Set[asyncio.Task[R]]:
        """The tasks whose result was not taken yet."""
        return self._alive.keys()

    def fill(self) -> None:
        """Starts work while there is room and items are left. Errors of the iterable are passed on."""
        while len(self._alive) < self._room:
            try:
                item = next(self._items)
            except StopIteration:
                self._room = 0
                return
            task = asyncio.create_task(self._work(item))
            task.add_done_callback(self._done)
            self._alive[task] = None

    async def next(self) -> asyncio.Task[R]:
        """Waits for a finished task and takes it out; there must be some alive."""
        if self._ordered:
            task = next(iter(self._alive))
            if not task.done():
                await asyncio.wait([task])
        else:
            while not self._finished:
                self._news.clear()
                await self._news.wait()
            task = self._finished.popleft()
        del self._alive[task]
        return task

    def cancel(self) -> None:
        """Cancels all that is not finished."""
        for task in self._alive:
            task.cancel()

    async def dismiss(self, spare: Set[asyncio.Task[Any]] = frozenset()) -> None:
        """Cancels all but `spare`, waits for all to end, and forgets their results."""
        for task in self._alive.keys() - spare:
            task.cancel()
        await asyncio.gather(*self._alive, return_exceptions=True)
        self._alive.clear()

    def _done(self, task: asyncio.Task[R]) -> None:
        if not self._ordered:
            self._finished.append(task)
            self._news.set()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Within the block, Python looks for reference cycles less often.

    Calls in flight are thousands of objects that live for a moment and make no cycles; by default the collector walks
    through them after every 700, which takes a fifth of the engine's time. It is set back afterwards.
    """
    first, second, third = gc.get_threshold()
    gc.set_threshold(first and max(first, OBJECTS_A_COLLECTION), second, third)  # 0 means that it is off
    try:
        yield
    finally:
        gc.set_threshold(first, second, third)


@contextmanager
def interrupts(first: Callable[[], None], again: Callable[[], None]) -> Iterator[None]:
    """Within the block, Ctrl-C or SIGTERM calls `first`, and the next one `again`.

    Does nothing outside the main thread, where signals cannot be had.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    count = 0

    def heard() -> None:
        nonlocal count
        count += 1
        (first if count == 1 else again)()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not Python's own
