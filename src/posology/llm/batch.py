"""Driving a batch API: submit, wait, collect, and send again what was left undone; nothing is paid for twice.

What is submitted is on disk before it is sent, and stays there until its results are committed. A run that was killed
is continued by the next one, which collects what the first had submitted as well as what it submits itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from posology.errors import BudgetReached
from posology.llm.batch_jobs import Job, Jobs
from posology.llm.batch_providers import BatchProvider, Standing
from posology.llm.budget import BudgetGate, BudgetHeld
from posology.llm.calls import Outcome
from posology.llm.contract import FATAL, RETRIED, ChatRequest, ErrorKind, ModelCallError, Reply, Usage
from posology.llm.limits import backoff
from posology.progress import Progress, Silent

T = TypeVar("T")
Commit = Callable[[str, ChatRequest, Outcome, int], Awaitable[object]]
"""Puts an outcome into the ledger: key, request, outcome, attempts. The same key may come twice."""

AGAIN: frozenset[ErrorKind] = frozenset({"rate_limited", "overloaded", "timeout", "connection"})
"""Failures of an item that another batch may not have; expired items count as overloaded."""
STATUS_TRIES = 8
SAVED = "What was submitted is noted; the same command again collects it."


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run over a batch API did.

    Attributes:
        batches: Batches collected.
        replies: Items with a reply.
        failed: Items that will have none.
        resubmitted: Items that were sent again.
    """

    batches: int = 0
    replies: int = 0
    failed: int = 0
    resubmitted: int = 0


class Batches:
    """Answers requests through a batch API. Made for one run.

    Args:
        provider: The API; closed by the caller.
        folder: Where open jobs are noted, inside the run folder.
        commit: Keeps each outcome; awaited before the job counts as collected.
        gate: Guards the budget; its prices should be those of batches.
        paid: Whether a call by this key is in the ledger, and so in the budget, already: an earlier run had begun to
            collect its batch.
        attempts: How often an item is submitted before it counts as failed.
        poll_every: Seconds between two looks at the batches in flight.
        progress: Is told how many items are finished.
        label: The step's name there.

    Attributes:
        sent: Items that were submitted, each attempt counted.
    """

    def __init__(
        self,
        provider: BatchProvider,
        folder: Path,
        commit: Commit,
        *,
        gate: BudgetGate | None = None,
        paid: Callable[[str], bool] = lambda _: False,
        attempts: int = 3,
        poll_every: float = 30.0,
        progress: Progress | None = None,
        label: str = "batch",
    ) -> None:
        self.sent = 0
        self._provider = provider
        self._jobs = Jobs(folder, provider.provider)
        self._commit = commit
        self._gate = gate
        self._is_paid = paid
        self._paid: set[str] = set()
        self._attempts = attempts
        self._poll_every = poll_every
        self._progress = progress or Silent()
        self._label = label
        self._rng = random.Random()
        self._known: set[str] = set()
        self._again: dict[int, dict[str, ChatRequest]] = {}
        self._over: BudgetReached | None = None
        self._held: BudgetHeld | None = None
        self._crowded = False
        self._fatal: ModelCallError | None = None
        self._total = 0
        self._tally = Collected()

    async def run(self, requests: Iterable[ChatRequest]) -> Collected:
        """Collects what earlier runs submitted, then answers requests; returns when all have an outcome.

        Args:
            requests: What the ledger does not answer yet; equal ones are sent once. Empty to collect only.

        Raises:
            BudgetReached: Some requests did not fit the budget; all others have an outcome.
            ModelCallError: The key is refused, the address is wrong, or the server stays away.
            StoreError: Jobs cannot be noted, or belong to another provider.
        """
        await self._take_up()
        waiting = _Queue(self._distinct(requests))
        while True:
            await self._submit_all(waiting)
            if not self._jobs.open():
                break
            if not await self._collect_ended() or self._crowded:
                await asyncio.sleep(self._poll_every)
            if self._fatal is not None:
                raise self._fatal
        if self._over is not None or self._held is not None:
            raise self._over or self._held  # type: ignore[misc]
        return self._tally

    # --- submitting

    async def _take_up(self) -> None:
        """Finds the jobs of earlier runs again, and sets money aside for them."""
        known = {job.id for job in self._jobs.open() if job.id is not None}
        for job in self._jobs.open():
            if job.id is None:
                id = await self._patiently(partial(self._find, job, known))
                if id is None:
                    self._jobs.end(job)
                    continue
                known.add(id)
                self._jobs.confirm(job, id)
            requests = self._jobs.requests(job)
            self._known |= requests.keys()
            self._total += len(requests)
            self._paid.update(filter(self._is_paid, requests))
            for request in requests.values():
                if self._gate is not None:
                    self._gate.admit(request, sent=True)

    def _find(self, job: Job, known: set[str]) -> Coroutine[Any, Any, str | None]:
        return self._provider.find(job.mark, since=job.created, items=job.items, known=known)

    def _distinct(self, requests: Iterable[ChatRequest]) -> Iterator[ChatRequest]:
        for request in requests:
            key = request.key(self._provider.provider)
            if key not in self._known:
                self._known.add(key)
                yield request

    async def _submit_all(self, waiting: _Queue) -> None:
        """Submits what was left undone, then what is new, as far as the provider and the budget have room."""
        if self._crowded and self._jobs.open():
            return
        self._crowded = False
        for attempt in sorted(self._again):
            left = _Queue(self._again.pop(attempt).values())
            while chunk := self._chunk(left, lambda _: True):  # money is still set aside for these
                await self._submit(chunk, attempt)
        while chunk := self._chunk(waiting, self._admitted):
            self._total += len(chunk)
            await self._submit(chunk, 1)

    def _chunk(self, requests: _Queue, admitted: Callable[[ChatRequest], bool]) -> dict[str, ChatRequest]:
        """The requests of one batch; empty if there are none, or none that is admitted."""
        chunk: dict[str, ChatRequest] = {}
        size = 0
        while len(chunk) < self._provider.most_items and (request := requests.take()) is not None:
            size += 4 * sum(len(content) for _, content in request.messages) + 1000
            if (chunk and size > self._provider.most_bytes) or not admitted(request):
                requests.put_back(request)
                break
            chunk[request.key(self._provider.provider)] = request
        return chunk

    def _admitted(self, request: ChatRequest) -> bool:
        self._held = None
        if self._over is not None:
            return False
        try:
            if self._gate is not None:
                self._gate.admit(request)
        except BudgetHeld as error:
            self._held = error
            return False
        except BudgetReached as error:
            self._over = error
            return False
        return True

    async def _submit(self, requests: dict[str, ChatRequest], attempt: int) -> None:
        job = self._jobs.begin(requests, attempt)
        self.sent += len(requests)
        for tries in range(1, STATUS_TRIES + 1):
            try:
                self._jobs.confirm(job, await self._provider.submit(job.mark, requests))
                return
            except ModelCallError as error:
                if error.kind not in RETRIED or error.kind == "malformed":
                    self._jobs.end(job)
                    self.sent -= len(requests)
                    raise
                if tries == STATUS_TRIES:
                    raise _saved(error) from None
                await asyncio.sleep(backoff(tries, error.retry_after, self._rng))
            # The answer may have been lost, not the batch.
            known = {other.id for other in self._jobs.open() if other.id is not None}
            id = await self._patiently(partial(self._find, job, known))
            if id is not None:
                self._jobs.confirm(job, id)
                return

    # --- collecting

    async def _collect_ended(self) -> bool:
        """Collects every batch that has ended; whether there was one."""
        some, done = False, 0
        for job in self._jobs.open():
            assert job.id is not None
            standing = await self._patiently(partial(self._provider.standing, job.id))
            if standing.ended:
                await self._patiently(partial(self._collect, job, standing))
                some = True
            else:
                done += standing.done
        finished = self._tally.replies + self._tally.failed
        self._progress.step(self._label, finished + done, self._total)
        return some

    async def _collect(self, job: Job, standing: Standing) -> None:
        """Commits the results of a batch. May be begun again after a broken connection: commits are idempotent."""
        left = self._jobs.requests(job)
        ended: list[tuple[ChatRequest, Outcome]] = []
        if standing.problem:
            self._not_accepted(job, standing.problem, left)
            return
        async for line in self._provider.results(standing):
            key = str(line.get("custom_id"))
            if (request := left.pop(key, None)) is None:
                continue
            outcome = self._provider.outcome(line, request)
            if self._is_left(outcome, job):
                left[key] = request
                continue
            await self._commit(key, request, outcome, job.attempt)
            ended.append((request, outcome))
        if job.attempt >= self._attempts:
            for key, request in left.items():
                await self._commit(key, request, _undone(job), job.attempt)
        self._close(job, left, ended)

    def _not_accepted(self, job: Job, problem: str, requests: dict[str, ChatRequest]) -> None:
        """Waits for room if there was none; raises what else was wrong with a batch."""
        self._jobs.end(job)
        if "limit" not in problem or job.attempt >= self._attempts:
            raise ModelCallError(
                f"the batch {job.id} was not accepted ({problem}).",
                kind="not_found",
                remedy="Look at it on the provider's page; the model may have no batch API.",
            )
        self._crowded = True
        attempt = job.attempt if self._jobs.open() else job.attempt + 1
        self._again.setdefault(attempt, {}).update(requests)

    def _is_left(self, outcome: Outcome, job: Job) -> bool:
        """Whether an item is to be sent again."""
        return isinstance(outcome, ModelCallError) and outcome.kind in AGAIN and job.attempt < self._attempts

    def _close(self, job: Job, left: dict[str, ChatRequest], ended: list[tuple[ChatRequest, Outcome]]) -> None:
        """Counts and settles a batch whose outcomes are committed, and queues what it left undone."""
        replies = failed = 0
        for request, outcome in ended:
            if isinstance(outcome, Reply):
                replies += 1
            else:
                failed += 1
                self._fatal = outcome if outcome.kind in FATAL else self._fatal
            self._settle(request, outcome)
        resubmitted = 0
        if job.attempt < self._attempts:
            self._again.setdefault(job.attempt + 1, {}).update(left)
            resubmitted = len(left)
        else:
            failed += len(left)
            for request in left.values():
                self._settle(request, _undone(job))
        tally = self._tally
        self._tally = Collected(
            tally.batches + 1, tally.replies + replies, tally.failed + failed, tally.resubmitted + resubmitted
        )
        self._jobs.end(job)

    def _settle(self, request: ChatRequest, outcome: Outcome) -> None:
        if self._gate is not None:
            paid = request.key(self._provider.provider) in self._paid
            self._gate.settle(request, outcome.usage if isinstance(outcome, Reply) and not paid else Usage())

    async def _patiently(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Asks again while the server is away for a moment.

        Raises:
            ModelCallError: It stays away, or asking again would not help.
        """
        for tries in range(1, STATUS_TRIES):
            try:
                return await ask()
            except ModelCallError as error:
                if error.kind not in RETRIED:
                    raise _saved(error) from None
                await asyncio.sleep(backoff(tries, error.retry_after, self._rng))
        try:
            return await ask()
        except ModelCallError as error:
            raise _saved(error) from None


class _Queue:
    """An iterable from which something taken can be put back."""

    def __init__(self, items: Iterable[ChatRequest]) -> None:
        self._items = iter(items)
        self._back: ChatRequest | None = None

    def take(self) -> ChatRequest | None:
        item, self._back = self._back or next(self._items, None), None
        return item

    def put_back(self, item: ChatRequest) -> None:
        self._back = item


def _undone(job: Job) -> ModelCallError:
    return ModelCallError(f"{job.attempt} batches left this request undone.", kind="overloaded")


def _saved(error: ModelCallError) -> ModelCallError:
    """The same, with a word on what is submitted already."""
    remedy = f"{error.remedy} {SAVED}".strip()
    return ModelCallError(error.message, kind=error.kind, retry_after=error.retry_after, raw=error.raw, remedy=remedy)
