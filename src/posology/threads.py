"""One thread for linear algebra, where many small problems are solved side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
