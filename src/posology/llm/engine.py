"""The engine: many calls at once, as fast as the server and the limits allow, each paid for once.

A call is looked up in the ledger, waits for its turn, is sent, tried again where that may help, and committed to the
ledger before anybody sees it. Work is pulled only as results are taken, so memory does not grow with its amount.

What ends a run early (budget, deadline, a refused key, a server that is down, Ctrl-C) lets the calls in flight finish
and be saved, hands out their results, and is raised at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from posology.errors import PosologyError
from posology.llm.calls import Call, Outcome
from posology.llm.contract import ChatModel, ChatRequest, ModelCallError, Reply, Usage
from posology.llm.crew import Crew, interrupts, rare_collections
from posology.llm.ledger import Ledger
from posology.llm.limits import Limits
from posology.llm.sending import Gate, Sender
from posology.llm.stopping import SAVED, Halted, Interrupted, Stop
from posology.progress import Progress, Silent

T = TypeVar("T")
R = TypeVar("R")


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
        self._price = price
        self._progress = progress or Silent()
        self._stage = stage
        self._interruptible = interruptible
        self._stop = Stop()
        self._sender = Sender(model, self.limits, gate, self._record, self._stop, self._progress)
        self._flying: dict[str, asyncio.Future[Outcome]] = {}
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def sent(self) -> int:
        """Attempts that were sent so far."""
        return self._sender.sent

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._sender.close()
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
            spared = crew.alive & self._sender.sending
            self._stop.leaving |= spared
            await crew.dismiss(spared)
            self._stop.leaving -= spared
            raise
        finally:
            await crew.dismiss()
        if self._stop.why is not None:
            raise self._stop.why

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
            self._start_clock()
            outcome = await self._sender.answer(key, request)
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
        self._stop.because(why)

    async def _record(self, key: str, request: ChatRequest, outcome: Outcome, attempts: int) -> Outcome:
        cost = None
        if self._price is not None and isinstance(outcome, Reply):
            cost = self._price(request, outcome.usage)
        call = Call(key, self.model.provider, self._stage, request, outcome, attempts, cost)
        return await self.ledger.write(call)

    def _start_clock(self) -> None:
        if self.limits.deadline is not None and self._deadline is None:
            why = PosologyError(f"the time limit of {self.limits.deadline:g} seconds is reached.", remedy=SAVED)
            self._deadline = asyncio.get_running_loop().call_later(self.limits.deadline, self.stop, why)

    # --- the crew of `map`

    def _fill(self, crew: Crew[T, R]) -> None:
        if self._stop.why is None:
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
                f"interrupted: waiting for {len(self._sender.sending)} calls in flight; once more to leave at once."
            )
            self.stop(Interrupted("interrupted.", remedy=SAVED))

        def leave() -> None:
            self.stop(Interrupted("interrupted.", remedy=SAVED))
            crew.cancel()

        return interrupts(finish, leave) if self._interruptible else nullcontext()
