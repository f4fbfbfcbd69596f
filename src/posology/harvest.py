"""What a generation leaves behind: rows that ended well, rows that did not, attempts between, and how many of each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from posology.answering import Tally
from posology.conversations import shapes
from posology.generation.generator import Candidate, Outcome
from posology.inputs import CANDIDATES
from posology.llm.contract import ChatRequest
from posology.progress import Progress
from posology.store import dumps, writing

REJECTED, ATTEMPTS = "rejected.jsonl", "attempts.jsonl"
SHOWN_EVERY = 0.1


@dataclass(slots=True)
class Count:
    """How rows ended so far.

    Attributes:
        total: Rows of the plan.
        accepted: Rows that ended as candidates.
        rejected: Rows that ended otherwise.
        attempts: Tries at all rows.
        reasons: Of the rejected rows, the first check that failed.
        checks: Of all attempts, every check that failed.
    """

    total: int
    accepted: int = 0
    rejected: int = 0
    attempts: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Counts an outcome."""
        self.attempts += 1
        if isinstance(outcome, Candidate):
            self.accepted += 1
            return
        self.checks.update(failure.check for failure in outcome.failures)
        if outcome.final:
            self.rejected += 1
            self.reasons[outcome.reason] += 1

    @property
    def ended(self) -> int:
        """Rows that ended."""
        return self.accepted + self.rejected

    def facts(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "n_plan": self.total,
            "n_candidates": self.accepted,
            "n_rejected": self.rejected,
            "n_open": self.total - self.ended,
            "n_attempts": self.attempts,
            "rejected": dict(sorted(self.reasons.items())),
            "failed_checks": dict(sorted(self.checks.items())),
        }

    def warnings(self) -> list[str]:
        """What the user should know of such counts."""
        if not self.ended or self.accepted >= self.ended / 2:
            return []
        (reason, n), *_ = self.reasons.most_common(1)
        return [
            f"only {self.accepted} of {self.ended} rows were accepted; the most frequent reason is {reason} ({n} rows)."
        ]


class Harvest:
    """Writes outcomes as they come, and tells how far things are.

    Args:
        count: Is kept up to date.
        files: Where candidates, rejected rows and further attempts go, in this order.
        progress: Told how far.
        spent: A few words on money.
    """

    def __init__(self, count: Count, files: list[IO[str]], progress: Progress, spent: Callable[[], str]) -> None:
        self._count = count
        self._candidates, self._rejected, self._attempts = files
        self._progress, self._spent = progress, spent
        self._start = self._shown = time.monotonic()

    def take(self, outcome: Outcome) -> None:
        """Writes an outcome."""
        self._count.add(outcome)
        if isinstance(outcome, Candidate):
            self._candidates.write(dumps(shapes.openai(outcome.conversation)) + "\n")
        else:
            (self._rejected if outcome.final else self._attempts).write(dumps(outcome.as_row()) + "\n")
        now = time.monotonic()
        if now - self._shown > SHOWN_EVERY or self._count.ended == self._count.total:
            self._shown = now
            self._tell(now)

    def _tell(self, now: float) -> None:
        count = self._count
        rate = count.ended / max(now - self._start, 1e-3)
        detail = f"{rate:,.1f}/s, {count.accepted:,} accepted, {count.rejected:,} rejected{self._spent()}"
        self._progress.step("generating", count.ended, count.total, detail)


@contextmanager
def harvest(
    folder: Path, count: Count, progress: Progress, spent: Callable[[], str]
) -> Iterator[Callable[[Outcome], None]]:
    """A place for outcomes; its files appear when the block ends well.

    Yields:
        What takes an outcome.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(writing(folder / name)) for name in (CANDIDATES, REJECTED, ATTEMPTS)]
        yield Harvest(count, files, progress, spent).take


def totals(tally: dict[str, Tally], provider: str) -> list[dict[str, Any]]:
    """The calls behind a result, by model, ready for JSON."""
    return [
        {"stage": "generate", "provider": provider, "model": model, **asdict(tally[model])} for model in sorted(tally)
    ]


def shown(outcome: Outcome, requests: dict[str, ChatRequest]) -> dict[str, Any]:
    """A row of a preview: what was asked, and what came of it.

    Args:
        outcome: How the row ended.
        requests: By row, attempt and step.
    """
    candidate = isinstance(outcome, Candidate)
    id = outcome.conversation.id if isinstance(outcome, Candidate) else outcome.row.id
    own = [request for name, request in requests.items() if name.startswith(f"{id}/{outcome.attempt}/")]
    prompts = [[{"role": role, "content": content} for role, content in request.messages] for request in own]
    ended = shapes.openai(outcome.conversation) if isinstance(outcome, Candidate) else outcome.as_row()
    return {"accepted": candidate, "prompts": prompts, "attempt": outcome.attempt, **ended}
