"""Runs a plan: asks, reads, checks, tries again, and gives every row an end.

Each attempt at a row has a place in one long queue: the rows of the plan first, further attempts behind them as they
become necessary. Replies may arrive in any order; they are judged in the order of the queue. So which of two equal
replies counts as the copy, what is fed back, and every prompt depend on the plan alone and not on the speed of a
server: the same run again makes the same calls, and a ledger answers all of them.

What is fed back into the prompt at place p comes from the places up to p - `lag`. While one of them is unanswered, no
further call begins, which also bounds the memory for replies that wait for their turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from posology.errors import PosologyError
from posology.generation.checks import ADVICE, Failure, Limits, Subject, failures
from posology.generation.exchange import Exchange, Sampling
from posology.generation.feedback import Feedback, opening_words
from posology.generation.plan import PlanRow
from posology.generation.prompts import Prompts
from posology.generation.replies import Draft
from posology.llm.contract import FATAL, ChatRequest, ModelCallError, Reply
from posology.records import Conversation

Answer = Reply | ModelCallError
#: Answers requests; see `Generator.run`.
Ask = Callable[[Iterable[tuple[str, ChatRequest]]], AsyncIterator[tuple[str, Answer]]]

# Another seed may help with these; all else that fails in a call was retried by whoever made it.
_WORTH_ANOTHER = frozenset({"call_refused", "call_malformed", "call_context_too_long"})


@dataclass(frozen=True, slots=True)
class Rules:
    """When a row has ended.

    Attributes:
        limits: What is accepted.
        attempts: Most attempts a row; a topic gets the examples that it wants if this many suffice for each row.
        feedback: Whether recent openings and names are fed back as "not these".
        lag: How many places behind feedback comes from. Part of what shapes the prompts: keep it when a run is resumed.
            At least four times the number of calls in flight, or they are fewer than they could be. Without feedback
            it has no effect, and all calls can be made at once.
    """

    limits: Limits = field(default_factory=Limits)
    attempts: int = 3
    feedback: bool = True
    lag: int = 512


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that ended well.

    Attributes:
        conversation: What was written, with its provenance in `meta`.
        attempt: At which attempt, from 1.
    """

    conversation: Conversation
    attempt: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """An attempt that failed.

    Attributes:
        row: The plan row.
        attempt: Which attempt, from 1.
        reason: The first check that failed, or `call_...` if there was no reply.
        detail: One sentence for people.
        failures: All checks that failed.
        raw: The reply (in the mode `turns`, all of them, a line apart), or what the server sent instead.
        final: Whether the row ends here; else it is tried again.
    """

    row: PlanRow
    attempt: int
    reason: str
    detail: str
    failures: tuple[Failure, ...]
    raw: str
    final: bool

    def as_row(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "id": self.row.id,
            "topic": self.row.topic,
            "reason": self.reason,
            "detail": self.detail,
            "checks": [failure.check for failure in self.failures],
            "attempt": self.attempt,
            "raw": self.raw,
        }


Outcome = Candidate | Rejected


@dataclass(slots=True)
class _Place:
    """A place in the queue: one attempt at one row."""

    number: int
    row: PlanRow
    attempt: int
    mistakes: tuple[str, ...] = ()
    openings: tuple[str, ...] = ()
    limit: int | None = None
    exchange: Exchange | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class _Again:
    """A row that is to be tried again, and what its next attempt is told."""

    row: PlanRow
    attempt: int
    mistakes: tuple[str, ...]
    openings: tuple[str, ...]
    limit: int | None


class Generator:
    """Runs a plan, once.

    Args:
        rows: The plan.
        prompts: The templates.
        sampling: How the model is asked.
        rules: When a row has ended.
        real: Normalised first messages of all real training conversations (`checks.real_openings`).
    """

    def __init__(
        self,
        rows: Iterable[PlanRow],
        prompts: Prompts,
        sampling: Sampling,
        rules: Rules,
        *,
        real: frozenset[str] = frozenset(),
    ) -> None:
        self._rows = iter(rows)
        self._exhausted = False
        self._prompts, self._sampling, self._rules, self._real = prompts, sampling, rules, real
        self._again: deque[_Again] = deque()
        self._ready: deque[_Place] = deque()
        self._asked: dict[str, _Place] = {}
        self._started = self._judged = 0
        self._waiting: dict[int, _Place] = {}
        self._feedback = Feedback()
        self._behind: deque[Conversation | None] = deque()
        self._seen: set[int] = set()

    async def run(self, ask: Ask) -> AsyncIterator[Outcome]:
        """Generates.

        Args:
            ask: Answers requests, each once, in any order. It takes them from the iterable as it has room for more, on
                the same thread, and may be called several times, one after the other.

        Yields:
            Outcomes in the order of the queue. Each row has exactly one that is a `Candidate` or a final `Rejected`.

        Raises:
            ModelCallError: The key is wrong, or the model does not exist.
            PosologyError: Whatever `ask` raises (a spent budget, an open circuit). What was answered by then is yielded
                first, also where earlier places of the queue have no answer.
            ValueError: `ask` left requests unanswered, or answered one that was not asked.
        """
        try:
            while True:
                async with aclosing(_closing(ask(self._requests()))) as answers:
                    async for key, answer in answers:
                        self._take(key, answer)
                        for outcome in self._outcomes():
                            yield outcome
                for outcome in self._outcomes():
                    yield outcome
                if self._asked:
                    raise ValueError(f"{len(self._asked)} requests were not answered")
                if self._exhausted and not self._ready and not self._again:
                    return
        except PosologyError:
            for outcome in self._outcomes(all_places=True):
                yield outcome
            raise

    def first_requests(self) -> Iterator[tuple[PlanRow, ChatRequest]]:
        """The first call of every row, without feedback: for previews and estimates. Uses up the plan.

        Rows whose prompt does not fit are left out.
        """
        for row in self._rows:
            exchange = self._exchange(_Place(0, row, 1))
            if exchange.failure is None:
                yield row, exchange.request

    def _requests(self) -> Iterator[tuple[str, ChatRequest]]:
        """Requests as long as there are any that can be made now."""
        while (place := self._next()) is not None:
            exchange = place.exchange
            assert exchange is not None
            if exchange.failure is not None:
                self._waiting[place.number] = place
                continue
            key = f"{place.row.id}/{place.attempt}/{exchange.step}"
            self._asked[key] = place
            yield key, exchange.request

    def _next(self) -> _Place | None:
        """The place to go on with: one in the middle of a conversation first, so that few are open at a time."""
        if self._ready:
            return self._ready.popleft()
        if self._rules.feedback and self._started - self._judged >= self._rules.lag:
            return None
        row = next(self._rows, None)
        self._exhausted = row is None
        if row is not None:
            place = _Place(self._started, row, 1)
        elif self._again:
            again = self._again.popleft()
            place = _Place(self._started, again.row, again.attempt, again.mistakes, again.openings, again.limit)
        else:
            return None
        self._started += 1
        while self._rules.feedback and len(self._behind) > self._judged - place.number + self._rules.lag - 1:
            known = self._behind.popleft()
            if known is not None:
                self._feedback.add(known)
        place.exchange = self._exchange(place)
        return place

    def _exchange(self, place: _Place) -> Exchange:
        avoid = self._feedback.not_these(place.row.topic, place.mistakes, place.openings)
        return Exchange(
            place.row,
            self._prompts,
            self._sampling,
            attempt=place.attempt,
            avoid=avoid,
            limit=place.limit or self._sampling.prompt_tokens,
        )

    def _take(self, key: str, answer: Answer) -> None:
        place = self._asked.pop(key, None)
        if place is None or place.exchange is None:
            raise ValueError(f"an answer to {key!r}, which was not asked")
        if isinstance(answer, ModelCallError) and answer.kind in FATAL:
            raise answer
        place.late |= isinstance(answer, Reply) and answer.late
        if place.exchange.take(answer):
            self._ready.append(place)
        else:
            self._waiting[place.number] = place

    def _outcomes(self, *, all_places: bool = False) -> Iterator[Outcome]:
        """Outcomes of the places whose turn has come.

        Args:
            all_places: Whether to pass over places without an answer, at the end of a run that failed.
        """
        while self._waiting and (self._judged in self._waiting or all_places):
            if self._judged not in self._waiting:
                self._judged = min(self._waiting)
            place = self._waiting.pop(self._judged)
            outcome = self._judge(place)
            self._judged += 1
            if self._rules.feedback:
                # A run that had no reply here has fed nothing back, and what it bought after this must be found again.
                fed_back = None if isinstance(outcome, Rejected) or place.late else outcome.conversation
                self._behind.append(fed_back)
            yield outcome

    def _judge(self, place: _Place) -> Outcome:
        exchange = place.exchange
        assert exchange is not None
        draft = exchange.draft
        if draft is None:
            assert exchange.failure is not None
            return self._reject(place, exchange, [exchange.failure], "")
        subject = Subject(draft.messages, place.row, exchange.quoted, self._rules.limits, self._real)
        failed = failures(subject)
        # A hash of 64 bits keeps memory small; two of 100,000 texts collide once in billions of runs.
        identity = hash((place.row.topic, *subject.normalised))
        if not failed and identity in self._seen:
            failed = [Failure("repeats_candidate", "It repeats an earlier candidate word for word.")]
        if failed:
            return self._reject(place, exchange, failed, subject.opening)
        self._seen.add(identity)
        return Candidate(self._conversation(place, exchange, draft), place.attempt)

    def _reject(self, place: _Place, exchange: Exchange, failed: list[Failure], opening: str) -> Rejected:
        reason = failed[0].check
        hopeless = reason == "prompt_too_long" or (reason.startswith("call_") and reason not in _WORTH_ANOTHER)
        final = hopeless or place.attempt >= self._rules.attempts
        if not final:
            advice = tuple(ADVICE[failure.check] for failure in failed if failure.check in ADVICE)
            self._again.append(
                _Again(
                    place.row,
                    place.attempt + 1,
                    (*place.mistakes, *advice),
                    (*place.openings, *filter(None, [opening_words(opening)])),
                    exchange.tokens // 2 if reason == "call_context_too_long" else place.limit,
                )
            )
        return Rejected(place.row, place.attempt, reason, failed[0].detail, tuple(failed), exchange.raw, final)

    def _conversation(self, place: _Place, exchange: Exchange, draft: Draft) -> Conversation:
        row = place.row
        provenance = {
            "generator": self._sampling.model,
            "model": exchange.model,
            "mode": self._prompts.mode,
            "template": self._prompts.version,
            "plan_row": row.id,
            "attempt": place.attempt,
            "seed": exchange.seed,
            "persona": row.persona.name,
            "channel": row.channel,
            "mood": row.mood,
            "register": row.register,
            "casing": row.casing,
            "typos": row.typos,
            "outcome": row.outcome,
            "docs": list(row.docs),
            "catalog": list(row.catalog),
            "examples": [example.id for example in row.examples],
            "read": draft.way,
            "trimmed": list(exchange.trimmed),
        }
        return Conversation(row.id, draft.messages, row.topic, "synthetic", provenance)


async def _closing(answers: AsyncIterator[tuple[str, Answer]]) -> AsyncGenerator[tuple[str, Answer], None]:
    """The same answers; whatever gives them is closed at the end, if it can be."""
    try:
        async for answer in answers:
            yield answer
    finally:
        close = getattr(answers, "aclose", None)
        if close is not None:
            await close()
