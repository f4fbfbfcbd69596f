"""What data leaves in doubt, put to judges: which of two topics it is, and whether a held-out conversation is retold.

Judges are asked only about candidates that nothing else rejects. Where they do not answer, or not in one voice, what
data said stands. A held-out conversation is shown, masked, only to judges that may see it: by default to those on this
machine alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from posology.judging import Judging
from posology.jury import Juror
from posology.llm.estimate import Estimate
from posology.records import Conversation, Finding
from posology.verification.judging.bias import one_sided
from posology.verification.judging.questions import Kind, Question, Ruling, Settled, settled
from posology.verification.leakage.check import Leakage
from posology.verification.relabel import Labelled

TYPICAL_REPLY = 40
"""Tokens of a reply with one reason, for estimates: a guess."""
Task = tuple[Juror, list[Question]]


@dataclass(frozen=True, slots=True)
class Doubts:
    """What may be asked.

    Attributes:
        topics: Questions by the candidate's place.
        retold: Likewise.
    """

    topics: Mapping[int, Question]
    retold: Mapping[int, Question]

    @property
    def places(self) -> set[int]:
        """Of all candidates in doubt."""
        return {*self.topics, *self.retold}


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of doubts.

    Attributes:
        labels: What label agreement says, judges heard.
        leaks: What the search for the holdout says, likewise.
        judges: By place, those whose answers counted.
        rulings: Every answer: the rows of `rulings.jsonl`.
        facts: For the manifest: by question how many were in doubt, and what judges said; None without judges.
        warnings: What the user should know.
    """

    labels: Labelled
    leaks: Leakage
    judges: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    rulings: tuple[Ruling, ...] = ()
    facts: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()


class Settling:
    """Puts doubts to judges.

    Args:
        judging: The judges.
        holdout: Held-out conversations.
    """

    def __init__(self, judging: Judging, holdout: Sequence[Conversation]) -> None:
        self._judging, self._holdout = judging, holdout

    def doubts(
        self, candidates: Sequence[Conversation], labels: Labelled, leaks: Leakage, rejected: Collection[int]
    ) -> Doubts:
        """The questions that data leaves open; none without judges.

        Args:
            candidates: The candidates, under the topics that they were filed under.
            labels: What label agreement says of them.
            leaks: What the search for the holdout says of them.
            rejected: Places of those that a check of another kind rejects.
        """
        if not self._judging.settings.judges:
            return Doubts({}, {})
        questions, sections = self._judging.questions, self._judging.sections
        rejected = {
            *rejected,
            *_surely(labels.findings, labels.doubts),
            *_surely(leaks.exact),
            *_surely(leaks.near),
            *_surely(leaks.paraphrase, leaks.doubts),
        }
        topics = {
            place: questions.topic(
                candidates[place], doubt.other, sections(candidates[place].topic), sections(doubt.other)
            )
            for place, doubt in labels.doubts.items()
            if place not in rejected
        }
        retold = {
            place: questions.retells(candidates[place], self._holdout[other])
            for place, other in leaks.doubts.items()
            if place not in rejected
        }
        return Doubts(topics, retold)

    def _tasks(self, doubts: Doubts) -> list[Task]:
        """What each judge is asked; those who are asked nothing are left out."""
        if not doubts.places:
            return []
        given = self._judging.settings.judge_holdout
        found = []
        for juror in self._judging.jurors:
            may_see = juror.stays_here if given is None else given
            asked = [*doubts.topics.values(), *(doubts.retold.values() if may_see else ())]
            if asked:
                found.append((juror, asked))
        return found

    def estimate(self, doubts: Doubts) -> list[Estimate]:
        """What these questions would cost; nothing is sent."""
        return self._judging.estimated(self._tasks(doubts), TYPICAL_REPLY)

    def settle(self, labels: Labelled, leaks: Leakage, doubts: Doubts) -> Answered:
        """Asks, and puts answers in the place of doubts.

        Raises:
            BudgetReached: The next call would pass the budget; what was asked is in the ledger.
            PosologyError: What else ends a hearing.
        """
        if not self._judging.settings.judges:
            return Answered(labels, leaks)
        tasks = self._tasks(doubts)
        heard = self._judging.hearing.hear(tasks) if tasks else []
        by_judge = {juror.name: found for (juror, _), found in zip(tasks, heard, strict=True)}
        biased = {name: place for name, found in by_judge.items() if (place := one_sided(found)) is not None}
        rulings = [ruling for found in heard for ruling in found]
        topics = _settled("topic", doubts.topics, rulings, biased)
        retold = _settled("retells", doubts.retold, rulings, ())
        judges = {
            place: tuple(
                dict.fromkeys(name for found in (topics, retold) for name in found.get(place, Settled()).judges)
            )
            for place in sorted({*topics, *retold})
        }
        return Answered(
            labels.settled({place: str(one.answer) for place, one in topics.items()}),
            leaks.settled({place: one.answer == "yes" for place, one in retold.items()}),
            judges,
            tuple(rulings),
            {
                "wording": self._judging.questions.version,
                "topic": _facts("topic", doubts.topics, topics, rulings),
                "retells": _facts("retells", doubts.retold, retold, rulings),
            },
            tuple(
                f"{name} always chooses the topic that it is shown {place}: its choices of topics do not count."
                for name, place in biased.items()
            ),
        )


def _surely(findings: Sequence[Finding], doubts: Collection[int] = ()) -> set[int]:
    """Places of those that a check rejects without a doubt."""
    return {place for place, finding in enumerate(findings) if finding.state == "fail" and place not in doubts}


def _settled(
    kind: Kind, questions: Mapping[int, Question], rulings: Sequence[Ruling], ignored: Collection[str]
) -> dict[int, Settled]:
    """By place, what the panel says, where it says something."""
    by_id: dict[str, list[Ruling]] = {}
    for ruling in rulings:
        if ruling.question == kind:
            by_id.setdefault(ruling.id, []).append(ruling)
    found = {place: settled(by_id.get(question.id, ()), ignored) for place, question in questions.items()}
    return {place: one for place, one in found.items() if one.answer is not None}


def _facts(
    kind: Kind, questions: Mapping[int, Question], answers: Mapping[int, Settled], rulings: Sequence[Ruling]
) -> dict[str, Any]:
    """How many were in doubt and shown to a judge, what single judges said, and what was settled."""
    own = [ruling for ruling in rulings if ruling.question == kind]
    return {
        "in_doubt": len(questions),
        "asked": len({ruling.id for ruling in own}),
        "said": _counted([ruling.answer or ruling.state for ruling in own]),
        "settled": _counted([str(one.answer) for one in answers.values()]),
    }


def _counted(names: Sequence[str]) -> dict[str, int]:
    """How often each name stands there, by name."""
    return dict(sorted(Counter(names).items()))
