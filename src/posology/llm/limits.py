"""How fast a model may be called, and when to give up on it.

- `Bucket`: requests or tokens a minute.
- `Slots`: how many calls are in flight; fewer while the server says 429 or 503, more again when it recovers (additive
  increase, multiplicative decrease, at most one change a round of calls; Chiu and Jain, 1989).
- `Timeouts`: when one call has had its time.
- `Breaker`: when failures are no longer a matter of one call but of the server.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from posology.errors import UsageError
from posology.llm.contract import ChatRequest, ErrorKind, ModelCallError

FEWER_TRIES: frozenset[ErrorKind] = frozenset({"malformed", "timeout"})
"""Failures that may have cost money: tried half as often as the free ones."""
OUTAGE: frozenset[ErrorKind] = frozenset({"connection", "malformed", "timeout"})
"""Failures that mean, at the start of a run, that the address is wrong or the server is down."""
BLAMED: frozenset[ErrorKind] = frozenset({"overloaded", "malformed", "timeout"})
"""Failures that may be due to the call, be they ever so many."""
T = TypeVar("T")
THROTTLED: frozenset[ErrorKind] = frozenset({"rate_limited", "overloaded"})
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0
SUSTAINED = 0.3
"""Share of throttled calls in a round above which there are too many in flight. A server that turns away what it cannot
take does so at once, so that one call too many already brings more refusals than replies."""
OCCASIONAL = 0.2
"""Share below which more may be tried: this much is the way of some servers, however little is asked of them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may ask of a server.

    Attributes:
        concurrency: Most calls in flight.
        rpm: Most requests a minute; None for no limit.
        tpm: Most tokens a minute, input and output; None for no limit.
        timeout: Seconds for one call.
        deadline: Seconds after which nothing new is sent; what is in flight is finished. None for no end.
        attempts: How often one call is sent before it counts as failed. Attempts that met a 429 or an outage, which say
            nothing about the call, do not count.
        patience: Seconds of nothing but failures after which the run stops, or one call, if all of them are its own. A
            longer `Retry-After` stops the run at once.
        breaker: Failures in a row that make an outage; before the first success, they stop the run.

    Raises:
        UsageError: One of them is not positive.
    """

    concurrency: int = 32
    rpm: float | None = None
    tpm: float | None = None
    timeout: float = 120.0
    deadline: float | None = None
    attempts: int = 6
    patience: float = 300.0
    breaker: int = 3

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value}.", remedy="It must be more than 0.")

    def attempts_for(self, kind: ErrorKind) -> int:
        """How often a call is sent that keeps failing in this way."""
        return max(1, self.attempts // 2) if kind in FEWER_TRIES else self.attempts


class Bucket:
    """A token bucket: what is taken comes back at a steady rate.

    Takers are served in turn. The amount taken is an estimate; `give_back` corrects it when the true one is known.

    Args:
        per_minute: How much comes back in a minute.
    """

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / 60
        self._most = max(1.0, self._rate / 10)  # bursts of a tenth of a second: a minute holds no more than agreed
        self._level = self._most
        self._at = time.monotonic()
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    async def take(self, amount: float) -> None:
        """Waits until `amount` is there. More than the bucket holds is taken on credit, which later takers wait for."""
        async with self._turn:
            while (short := min(amount, self._most) - self._refilled()) > 1e-9:
                self._changed.clear()
                try:
                    async with asyncio.timeout(short / self._rate):
                        await self._changed.wait()
                except TimeoutError:
                    continue
            self._level -= amount

    def give_back(self, amount: float) -> None:
        """Returns what was taken too much; a negative amount takes more."""
        self._level = min(self._most, self._refilled() + amount)
        self._changed.set()

    def close(self) -> None:
        """Lets everybody through: they have to see for themselves that the run is over."""
        self._most = self._level = math.inf
        self._changed.set()

    def _refilled(self) -> float:
        now = time.monotonic()
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        return self._level


class Slots:
    """Places for calls in flight; their number adapts.

    The first call goes alone, until it or `prove` shows that the key and the address are right.

    Args:
        most: The upper limit.

    Attributes:
        limit: How many places there are now.
        in_flight: How many are taken.
        stuck: How many calls in a row were turned away although each went alone.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = 1
        self.in_flight = 0
        self.stuck = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._proved = False
        self._round = self._finished = self._throttled = 0

    def prove(self) -> None:
        """The server is known to take calls: opens all places."""
        if not self._proved:
            self._proved = True
            self._resize(self.most)

    async def acquire(self) -> int:
        """Waits for a place, in turn.

        Returns:
            The round that the call belongs to, for `learn`.
        """
        if self.in_flight < self.limit and not self._queue:
            self.in_flight += 1
            return self._round
        place = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._queue.remove(place)
            else:  # it was given in the very moment of leaving
                self.release()
            raise
        return self._round

    def release(self) -> None:
        """Frees a place and gives it to whoever is next."""
        self.in_flight -= 1
        self._fill()

    def learn(self, started: int, kind: ErrorKind | None) -> bool:
        """Adapts the number of places to how a call ended.

        Args:
            started: What `acquire` returned.
            kind: How it failed, None if it did not.

        Returns:
            Whether the server turned out to be overrun.
        """
        throttled = kind in THROTTLED
        self.stuck = self.stuck + 1 if throttled and self.limit == 1 else 0
        if not self._proved:
            if not throttled and kind not in OUTAGE:
                self.prove()
        elif started == self._round:
            self._finished += 1
            self._throttled += throttled
            return self._adapt()
        return self.stuck > 0

    def _adapt(self) -> bool:
        """Shrinks as soon as a part of a round shows that it is too much; grows after a whole one went well."""
        if self._finished >= max(8, self.limit // 4) and self._throttled > SUSTAINED * self._finished:
            self._resize(max(1, self.limit // 2))
            return True
        if self._finished >= max(8, self.limit):
            calm = self._throttled < OCCASIONAL * self._finished
            self._resize(min(self.most, self.limit + max(1, self.limit // 8)) if calm else self.limit)
        return self.stuck > 0

    def _resize(self, limit: int) -> None:
        """Begins a new round; what becomes of calls already in flight says nothing about the new number."""
        self.limit = limit
        self._round += 1
        self._finished = self._throttled = 0
        self._fill()

    def _fill(self) -> None:
        while self._queue and self.in_flight < self.limit:
            place = self._queue.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)


class Timeouts:
    """Gives up on calls that take too long: one timer for all, where `asyncio.timeout` sets and drops one for each.

    Args:
        seconds: The time that each has; up to a twentieth more is given.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[asyncio.Task[Any], float] = {}  # in the order in which they fall due
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def within(self, call: Awaitable[T]) -> T:
        """Waits for a call. A task has one at a time.

        Raises:
            TimeoutError: It took too long, and was cancelled.
        """
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        cancelling = task.cancelling()
        self._due[task] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look, loop)
        try:
            return await call
        except asyncio.CancelledError:
            if task in self._overdue and task.uncancel() <= cancelling:
                raise TimeoutError from None
            raise  # somebody else wants the task to end
        finally:
            self._due.pop(task, None)
            self._overdue.discard(task)

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._due and (task := next(iter(self._due))) and self._due[task] <= now:
            del self._due[task]
            self._overdue.add(task)
            task.cancel()
        self._timer = None
        if self._due:
            wait = max(next(iter(self._due.values())) - now, self._seconds / 20)
            self._timer = loop.call_later(wait, self._look, loop)


class Breaker:
    """Notices that the server, and not one call, is the trouble.

    Args:
        limits: `breaker` and `patience` count.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._proved = False
        self._failures = 0
        self._since = 0.0
        self._calls: set[str] = set()

    @property
    def outage(self) -> bool:
        """Whether the last calls have all failed, whatever they were."""
        return self._failures >= self._limits.breaker

    def succeeded(self) -> None:
        """The server took a call."""
        self._proved = True
        self.forget()

    def forget(self) -> None:
        """What failed so far says nothing about the server."""
        self._failures = 0
        self._calls.clear()

    def failed(self, error: ModelCallError, call: str) -> bool:
        """Whether the run should stop now.

        Args:
            error: How it failed.
            call: Which call.
        """
        now = time.monotonic()
        if self._failures == 0:
            self._since = now
        self._failures += 1
        self._calls.add(call)
        if (error.retry_after or 0.0) > self._limits.patience:
            return True
        if now - self._since > self._limits.patience:
            return not self.blames(error)
        return not self._proved and self.outage and error.kind in OUTAGE

    def blames(self, error: ModelCallError) -> bool:
        """Whether our patience ended with one call that the server answers with nothing but failures.

        Others may be waiting for it to end, so that it is alone; then it is given up instead of the run, which would
        come to the same call again and never end.
        """
        over = bool(self._failures) and time.monotonic() - self._since > self._limits.patience
        return over and len(self._calls) == 1 and error.kind in BLAMED


def backoff(attempt: int, retry_after: float | None, rng: random.Random) -> float:
    """Seconds to wait after a failed attempt.

    Doubles from `FIRST_BACKOFF` to `LONGEST_BACKOFF`, of which a random half to whole is taken so that calls that
    failed together do not come back together; never less than the server asked for.

    Args:
        attempt: How many attempts failed, from 1.
        retry_after: What the server asked for.
        rng: The source of chance.
    """
    longest = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempt - 1, 16))
    spread = rng.uniform(0.5, 1.0) * longest
    return spread if retry_after is None else max(spread, retry_after + rng.uniform(0.0, 0.1) * retry_after)


def estimate_tokens(request: ChatRequest) -> tuple[int, int]:
    """Roughly the tokens of a request, and the most of its reply: four bytes of UTF-8 a token, four tokens a message.

    Good to a quarter or so for most languages: enough to keep to a rate, not to make a bill.
    """
    sizes = sum(
        len(content) if content.isascii() else len(content.encode("utf-8", "replace"))
        for _, content in request.messages
    )
    return sizes // 4 + 4 * len(request.messages), request.max_tokens
