"""One call on its way: waits for its turn, is sent, and sent again where that may help."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from posology.errors import BudgetReached
from posology.llm.budget import BudgetHeld
from posology.llm.calls import Outcome
from posology.llm.contract import FATAL, RETRIED, ChatModel, ChatRequest, ModelCallError, Reply, Usage
from posology.llm.limits import Breaker, Bucket, Limits, Slots, Timeouts, backoff, estimate_tokens
from posology.llm.stopping import SAVED, Halted, Stop
from posology.progress import Progress

HELD = 1.0
"""Seconds after which a call that waits for money looks again, even if none of ours has come back."""
Record = Callable[[str, ChatRequest, Outcome, int], Awaitable[Outcome]]
"""Keeps an outcome, with its key, its request, and how often it was sent; returns what then stands."""


class Gate(Protocol):
    """Guards a budget. Each attempt that is admitted is settled exactly once."""

    def admit(self, request: ChatRequest) -> None:
        """Called right before a request is sent; sets its estimated cost aside.

        Raises:
            BudgetHeld: It does not fit while others are in flight; the engine asks again when one is settled.
            BudgetReached: The estimated cost would pass the limit.
        """
        ...

    def settle(self, request: ChatRequest, usage: Usage) -> None:
        """Called when it came back; the usage is zero if it failed."""
        ...


@runtime_checkable
class Checked(Protocol):
    """A model whose server can be asked for free whether it takes calls; without it, the first call goes alone."""

    async def check(self) -> bool:
        """Whether it certainly does."""
        ...


class Sender:
    """Sends calls to one model, within all limits.

    Args:
        model: Where calls go.
        limits: How fast and how long.
        gate: Guards the budget.
        record: Keeps outcomes, before anybody sees them.
        stop: Is told of what ends the run, and ends calls that wait.
        progress: Is told when the server asks for less.

    Attributes:
        sent: Attempts so far.
        sending: The tasks whose call is in flight, or about to be recorded.
    """

    def __init__(
        self, model: ChatModel, limits: Limits, gate: Gate | None, record: Record, stop: Stop, progress: Progress
    ) -> None:
        self.sent = 0
        self.sending: set[asyncio.Task[Any]] = set()
        self._model, self._limits, self._gate, self._record = model, limits, gate, record
        self._stop, self._progress = stop, progress
        self._rng = random.Random()
        self._slots = Slots(limits.concurrency)
        self._timeouts = Timeouts(limits.timeout)
        self._breaker = Breaker(limits)
        self._requests = Bucket(limits.rpm) if limits.rpm else None
        self._tokens = Bucket(limits.tpm) if limits.tpm else None
        self._paused_until = 0.0
        self._slowed = self._checked = False
        self._settled = asyncio.Event()
        stop.tell(self._settled.set)
        for bucket in (self._requests, self._tokens):
            if bucket is not None:
                stop.tell(bucket.close)

    def close(self) -> None:
        """Stops the timer."""
        self._timeouts.close()

    async def answer(self, key: str, request: ChatRequest) -> Outcome:
        """Sends a request until it is answered, or until further attempts are no use.

        Args:
            key: Of the call.
            request: The call.

        Returns:
            What was recorded in the end.

        Raises:
            Halted: The run is over.
            StoreError: It could not be recorded.
        """
        task = asyncio.current_task()
        assert task is not None
        counted = recorded = 0
        for attempt in itertools.count(1):
            self._stop.check()
            started = await self._slots.acquire()
            try:  # the place in flight is held until the outcome is safe in the ledger
                await self._turn()
                self.sending.add(task)
                outcome = await self._send(request)
                self._learn(started, key, outcome)
                error = outcome if isinstance(outcome, ModelCallError) else None
                counted += error is not None and self._counts(error)
                last = error is None or self._hopeless(error, counted)
                if last or (error is not None and error.kind == "malformed"):  # only these hold anything worth a row
                    outcome = await self._record(key, request, outcome, attempt - recorded)
                    recorded = attempt
            finally:
                self.sending.discard(task)
                self._slots.release()
            if error is None or last:
                return outcome
            await self._stop.sleep(backoff(attempt, error.retry_after, self._rng))
        raise AssertionError("an endless count has ended")

    def _counts(self, error: ModelCallError) -> bool:
        """Whether a failure says something about the call, and not only about the server."""
        return error.kind != "rate_limited" and not (self._breaker.outage and error.kind in RETRIED)

    def _hopeless(self, error: ModelCallError, counted: int) -> bool:
        """Whether a call that failed is not sent again."""
        if self._breaker.blames(error):
            self._breaker.forget()
            return True
        return error.kind not in RETRIED or counted >= self._limits.attempts_for(error.kind)

    async def _turn(self) -> None:
        """Waits while the server needs a rest, and for the rate of requests."""
        while (pause := self._paused_until - time.monotonic()) > 0:
            await self._stop.sleep(pause)
        if self._requests is not None:
            await self._requests.take(1)
        self._stop.check()
        if not self._checked:
            self._checked = True
            with suppress(ModelCallError):  # the call itself will meet it, and tell
                if isinstance(self._model, Checked) and await self._model.check():
                    self._slots.prove()

    async def _send(self, request: ChatRequest) -> Outcome:
        """One attempt, within the rate of tokens and the budget."""
        expected = 0
        if self._tokens is not None:
            expected = sum(estimate_tokens(request))
            await self._tokens.take(expected)
            self._stop.check()
        await self._admit(request)
        usage = Usage()
        try:
            outcome = await self._complete(request)
            if isinstance(outcome, Reply):
                usage = outcome.usage
            return outcome
        finally:
            if self._gate is not None:
                self._gate.settle(request, usage)
                self._settled.set()
            if self._tokens is not None:
                self._tokens.give_back(expected - usage.input_tokens - usage.output_tokens)

    async def _admit(self, request: ChatRequest) -> None:
        """Passes the gate; waits there while calls in flight hold money that they may not need."""
        while self._gate is not None:
            try:
                self._gate.admit(request)
                break
            except BudgetHeld:
                self._settled.clear()
                with suppress(TimeoutError):  # the calls that hold it may be those of another engine
                    async with asyncio.timeout(HELD):
                        await self._settled.wait()
                self._stop.check()
            except BudgetReached as error:
                self._stop.because(error)
                raise Halted from None
        self.sent += 1

    async def _complete(self, request: ChatRequest) -> Outcome:
        try:
            return await self._timeouts.within(self._model.complete(request))
        except TimeoutError:
            message = f"{self._model.provider} did not answer within {self._limits.timeout:g} seconds."
            return ModelCallError(message, kind="timeout", remedy="Allow more time, or ask for shorter replies.")
        except ModelCallError as error:
            error.__context__ = error.__cause__ = None  # kept as a value: it must not keep its frames alive
            return error.with_traceback(None)

    def _learn(self, started: int, key: str, outcome: Outcome) -> None:
        """Adapts the pace to an outcome, or stops the run because of it.

        Raises:
            Halted: It is of the kind that ends a run.
        """
        error = outcome if isinstance(outcome, ModelCallError) else None
        overrun = self._slots.learn(started, error.kind if error else None)
        if error is None or error.kind not in RETRIED | FATAL:
            self._breaker.succeeded()
            return
        if overrun:
            stuck = self._slots.stuck
            pause = backoff(stuck, error.retry_after, self._rng) if stuck else error.retry_after or 0.0
            self._paused_until = max(self._paused_until, time.monotonic() + pause)
            self._note_slower()
        if error.kind in FATAL:
            self._stop.because(error)
            raise Halted
        if self._breaker.failed(error, key):
            remedy = f"{error.remedy} {SAVED}".strip()
            self._stop.because(ModelCallError(f"stopped: {error.message}", kind=error.kind, remedy=remedy))
            raise Halted

    def _note_slower(self) -> None:
        if not self._slowed:
            self._slowed = True
            self._progress.note(f"the server asks for less; calls in flight are now {self._slots.limit} and adapt.")
