"""Threads: one for linear algebra where many small problems are solved side by side, one for a loop within a loop."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def single_threaded() -> Iterator[None]:
    """Runs the block with one thread in each numeric library.

    Threads of a small problem wait for each other longer than they work, many times longer on a busy machine; and sums
    would depend on how many there are. Not for nesting in several threads at once: the limit is the process's.
    """
    # A limit reaches the libraries that are loaded by then, so they are loaded first.
    import sklearn.linear_model  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine and waits for it; where a loop runs already, as in a notebook, in a thread of its own."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
