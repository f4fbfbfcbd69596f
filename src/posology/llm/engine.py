"""The engine: many calls at once, as fast as the server and the limits allow, each paid for once.

A call is looked up in the ledger, waits for its turn, is sent, tried again where that may help, and committed to the
ledger before anybody sees it. Work is pulled only as results are taken, so memory does not grow with its amount.

What ends a run early (budget, deadline, a refused key, a server that is down, Ctrl-C) lets the calls in flight finish
and be saved, hands out their results, and is raised at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from posology.errors import BudgetReached, PosologyError
from posology.llm.budget import BudgetHeld
from posology.llm.calls import Call, Outcome
from posology.llm.contract import FATAL, RETRIED, ChatModel, ChatRequest, ModelCallError, Reply, Usage
from posology.llm.crew import Crew, interrupts, rare_collections
from posology.llm.ledger import Ledger
from posology.llm.limits import Breaker, Bucket, Limits, Slots, Timeouts, backoff, estimate_tokens
from posology.progress import Progress, Silent

T = TypeVar("T")
R = TypeVar("R")
SAVED = "Every finished call is in the ledger; the same command again goes on where it was."
HELD = 1.0
"""Seconds after which a call that waits for money looks again, even if none of ours has come back."""


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


class Interrupted(PosologyError):
    """The user pressed Ctrl-C, or the process was asked to end."""

    exit_code = 130


class Halted(BaseException):
    """The engine is stopping and this call will not be sent.

    No `Exception`, so that work which survives failed calls does not take it for one; `Engine.map` catches it.
    """


@dataclass(frozen=True, slots=True)
class Tagged(Generic[T]):
    """A request and whatever its result is to be known by."""

    tag: T
    request: ChatRequest


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """How a request ended.

    Attributes:
        tag: As given with the request.
        outcome: The reply, or why there is none and will be none.
        from_ledger: Nothing was sent for it: the ledger knew it, or an equal request was in flight already.
    """

    tag: T
    outcome: Outcome
    from_ledger: bool

    @property
    def reply(self) -> Reply | None:
        """The reply, if there is one; look at its `finish` before use."""
        return self.outcome if isinstance(self.outcome, Reply) else None

    @property
    def error(self) -> ModelCallError | None:
        """The failure, if it is one."""
        return self.outcome if isinstance(self.outcome, ModelCallError) else None


class Engine:
    """Drives one model. Use it as an async context manager, on one event loop; it closes the model, not the ledger.

    Args:
        model: Where calls go.
        ledger: Where they are kept.
        limits: How fast and how long.
        gate: Guards the budget.
        price: What a call cost, for the ledger; None where it is not known.
        progress: Is told when the engine slows down or stops. Counting rows is up to the caller, who knows how many.
        stage: Under which name calls stand in the ledger.
        interruptible: Ctrl-C and SIGTERM end `run` and `map` gracefully; a second one leaves at once. Only in the main
            thread.
    """

    def __init__(
        self,
        model: ChatModel,
        ledger: Ledger,
        *,
        limits: Limits | None = None,
        gate: Gate | None = None,
        price: Callable[[ChatRequest, Usage], float | None] | None = None,
        progress: Progress | None = None,
        stage: str = "generate",
        interruptible: bool = True,
    ) -> None:
        self.model = model
        self.ledger = ledger
        self.limits = limits or Limits()
        self.sent = 0
        self._gate = gate
        self._price = price
        self._progress = progress or Silent()
        self._stage = stage
        self._interruptible = interruptible
        self._rng = random.Random()
        self._slots = Slots(self.limits.concurrency)
        self._timeouts = Timeouts(self.limits.timeout)
        self._breaker = Breaker(self.limits)
        self._requests = Bucket(self.limits.rpm) if self.limits.rpm else None
        self._tokens = Bucket(self.limits.tpm) if self.limits.tpm else None
        self._flying: dict[str, asyncio.Future[Outcome]] = {}
        self._sending: set[asyncio.Task[Any]] = set()
        self._leaving: set[asyncio.Task[Any]] = set()
        self._paused_until = 0.0
        self._deadline: asyncio.TimerHandle | None = None
        self._why: BaseException | None = None
        self._halt = asyncio.Event()
        self._settled = asyncio.Event()
        self._slowed = self._checked = False

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._timeouts.close()
        await self.model.close()

    def run(self, requests: Iterable[Tagged[T]], *, ordered: bool = False) -> AsyncGenerator[Result[T], None]:
        """Answers requests; the iterable is read only as far ahead as the limits need.

        Args:
            requests: What to ask.
            ordered: Results come in the order of the requests instead of as they finish.

        Yields:
            One result a request.

        Raises:
            BudgetReached: The next call would pass the budget.
            ModelCallError: The key is refused, the model is not there, or the server is down.
            Interrupted: Ctrl-C.
            PosologyError: The deadline is reached.
            StoreError: The ledger cannot be written.
        """
        return self.map(self.call, requests, ordered=ordered)

    async def map(
        self, work: Callable[[T], Coroutine[Any, Any, R]], items: Iterable[T], *, ordered: bool = False
    ) -> AsyncGenerator[R, None]:
        """Like `run`, for work that makes any number of calls: the turns of a dialogue, tries until one is accepted.

        Args:
            work: Awaits `call` as often as it likes. An exception of its own ends the run like those of `run`.
            items: What to work on; read only a little ahead of the results taken.
            ordered: Results come in the order of the items.

        Yields:
            What `work` returned, an item each.

        Raises:
            PosologyError: As `run`.
        """
        crew = Crew(work, items, room=2 * self.limits.concurrency + 64, ordered=ordered)
        try:
            with rare_collections(), self._interrupts(crew):
                while True:
                    self._fill(crew)
                    if not crew.alive:
                        break
                    task = await crew.next()
                    if self._succeeded(task):
                        yield task.result()
        except GeneratorExit:  # the caller has seen enough: what is in flight is paid for and saved, the rest not sent
            spared = crew.alive & self._sending
            self._leaving |= spared
            await crew.dismiss(spared)
            self._leaving -= spared
            raise
        finally:
            await crew.dismiss()
        if self._why is not None:
            raise self._why

    async def call(self, tagged: Tagged[T]) -> Result[T]:
        """Answers one request: from the ledger, from an equal one in flight, or by sending it.

        Raises:
            Halted: The engine is stopping.
            StoreError: The ledger cannot be read or written.
        """
        request = tagged.request
        key = request.key(self.model.provider)
        while (twin := self._flying.get(key)) is not None:
            try:
                return Result(tagged.tag, await asyncio.shield(twin), True)
            except asyncio.CancelledError:
                if not twin.cancelled():
                    raise
        known = self.ledger.look_up(key)
        if known is not None:
            return Result(tagged.tag, known, True)
        future = self._flying[key] = asyncio.get_running_loop().create_future()
        try:
            outcome = await self._answer(key, request)
            future.set_result(outcome)
        except Exception as error:
            future.set_exception(error)
            future.exception()  # it is known here; equal requests may or may not be waiting for it
            raise
        finally:
            del self._flying[key]
            future.cancel()  # unless it is answered: an equal request then tries for itself
        return Result(tagged.tag, outcome, False)

    def stop(self, why: BaseException) -> None:
        """Ends the run: nothing more is sent, what is in flight is finished, then `run` and `map` raise `why`.

        Of several reasons, the first counts.
        """
        if self._why is None:
            self._why = why
            self._halt.set()
            self._settled.set()
            for bucket in (self._requests, self._tokens):
                if bucket is not None:
                    bucket.close()

    async def _answer(self, key: str, request: ChatRequest) -> Outcome:
        """Sends a request until it is answered, or until further attempts are no use."""
        self._start_clock()
        task = asyncio.current_task()
        assert task is not None
        counted = recorded = 0
        for attempt in itertools.count(1):
            self._check()
            started = await self._slots.acquire()
            try:  # the place in flight is held until the outcome is safe in the ledger
                await self._turn()
                self._sending.add(task)
                outcome = await self._send(request)
                self._learn(started, outcome)
                error = outcome if isinstance(outcome, ModelCallError) else None
                counted += error is not None and self._counts(error)
                last = error is None or error.kind not in RETRIED or counted >= self.limits.attempts_for(error.kind)
                if last or (error is not None and error.kind == "malformed"):  # only these hold anything worth a row
                    outcome = await self._record(key, request, outcome, attempt - recorded)
                    recorded = attempt
            finally:
                self._sending.discard(task)
                self._slots.release()
            if error is None or last:
                return outcome
            await self._sleep(backoff(attempt, error.retry_after, self._rng))
        raise AssertionError("an endless count has ended")

    def _counts(self, error: ModelCallError) -> bool:
        """Whether a failure says something about the call, and not only about the server."""
        return error.kind != "rate_limited" and not (self._breaker.outage and error.kind in RETRIED)

    async def _turn(self) -> None:
        """Waits while the server needs a rest, and for the rate of requests."""
        while (pause := self._paused_until - time.monotonic()) > 0:
            await self._sleep(pause)
        if self._requests is not None:
            await self._requests.take(1)
        self._check()
        if not self._checked:
            self._checked = True
            with suppress(ModelCallError):  # the call itself will meet it, and tell
                if isinstance(self.model, Checked) and await self.model.check():
                    self._slots.prove()

    async def _send(self, request: ChatRequest) -> Outcome:
        """One attempt, within the rate of tokens and the budget."""
        expected = 0
        if self._tokens is not None:
            expected = sum(estimate_tokens(request))
            await self._tokens.take(expected)
            self._check()
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
                self._check()
            except BudgetReached as error:
                self.stop(error)
                raise Halted from None
        self.sent += 1

    async def _complete(self, request: ChatRequest) -> Outcome:
        try:
            return await self._timeouts.within(self.model.complete(request))
        except TimeoutError:
            message = f"{self.model.provider} did not answer within {self.limits.timeout:g} seconds."
            return ModelCallError(message, kind="timeout", remedy="Allow more time, or ask for shorter replies.")
        except ModelCallError as error:
            error.__context__ = error.__cause__ = None  # kept as a value: it must not keep its frames alive
            return error.with_traceback(None)

    async def _record(self, key: str, request: ChatRequest, outcome: Outcome, attempts: int) -> Outcome:
        cost = None
        if self._price is not None and isinstance(outcome, Reply):
            cost = self._price(request, outcome.usage)
        call = Call(key, self.model.provider, self._stage, request, outcome, attempts, cost)
        return await self.ledger.write(call)

    # --- what outcomes mean for the run

    def _learn(self, started: int, outcome: Outcome) -> None:
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
            self.stop(error)
            raise Halted
        if self._breaker.failed(error):
            remedy = f"{error.remedy} {SAVED}".strip()
            self.stop(ModelCallError(f"stopped: {error.message}", kind=error.kind, remedy=remedy))
            raise Halted

    def _note_slower(self) -> None:
        if not self._slowed:
            self._slowed = True
            self._progress.note(f"the server asks for less; calls in flight are now {self._slots.limit} and adapt.")

    def _check(self) -> None:
        if self._why is not None or (self._leaving and asyncio.current_task() in self._leaving):
            raise Halted

    async def _sleep(self, seconds: float) -> None:
        """Waits, unless the run stops meanwhile."""
        self._check()
        try:
            async with asyncio.timeout(seconds):
                await self._halt.wait()
        except TimeoutError:
            pass
        self._check()

    def _start_clock(self) -> None:
        if self.limits.deadline is not None and self._deadline is None:
            why = PosologyError(f"the time limit of {self.limits.deadline:g} seconds is reached.", remedy=SAVED)
            self._deadline = asyncio.get_running_loop().call_later(self.limits.deadline, self.stop, why)

    # --- the crew of `map`

    def _fill(self, crew: Crew[T, R]) -> None:
        if self._why is None:
            try:
                crew.fill()
            except Exception as error:  # the iterable is somebody else's: what is in flight is finished first
                self.stop(error)

    def _succeeded(self, task: asyncio.Task[R]) -> bool:
        """Whether a finished task has a result; if not, it ends the run."""
        if task.cancelled():
            self.stop(asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            if not isinstance(error, Halted):
                self.stop(error)
        else:
            return True
        return False

    def _interrupts(self, crew: Crew[T, R]) -> AbstractContextManager[None]:
        def finish() -> None:
            self._progress.warn(
                f"interrupted: waiting for {len(self._sending)} calls in flight; once more to leave at once."
            )
            self.stop(Interrupted("interrupted.", remedy=SAVED))

        def leave() -> None:
            self.stop(Interrupted("interrupted.", remedy=SAVED))
            crew.cancel()

        return interrupts(finish, leave) if self._interruptible else nullcontext()
