"""The check of label agreement, and what it does about a good example of another topic: relabel, not reject.

Where data alone is near one of its limits, it says so: judges may be asked which of the two topics it is, and what they
say takes the place of what data said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from posology.embedding.embedder import Embedder
from posology.records import CheckState, Conversation, Finding, topics_of
from posology.verification.agreement import FALSE_REJECTION, Agreement, agreement

CHECK = "label_agreement"
LEAST = 0.5  # as good an example of the other topic as the middle one of the real rows is of its own
NEAR_LEAST = LEAST / 5
NEAR_LIMIT = 2.0  # times the share of right rows that may be rejected: as many again are asked about


@dataclass(frozen=True, slots=True)
class Doubt:
    """A candidate near a limit.

    Attributes:
        other: The nearest other topic.
        as_other: Share of real rows that agree less with their own topic than the candidate does with that one.
    """

    other: str
    as_other: float


@dataclass(frozen=True, slots=True)
class Labelled:
    """What the check says of candidates.

    Attributes:
        findings: One a candidate; its score lies in [0, 1], its detail names the nearest other topic. Empty where the
            check was not run.
        topics: The topic that each is an example of, as far as can be told.
        doubts: By place, the candidates that lie near a limit.
    """

    findings: tuple[Finding, ...]
    topics: tuple[str | None, ...]
    doubts: Mapping[int, Doubt]

    def settled(self, answers: Mapping[int, str]) -> Labelled:
        """The same with answers of judges in the place of doubts.

        Args:
            answers: By place, which topic it is: `own`, `other` or `neither`; only of candidates in doubt.
        """
        findings, topics = list(self.findings), list(self.topics)
        for place, side in answers.items():
            doubt, before = self.doubts[place], self.findings[place]
            filed, score = self.topics[place], before.score
            said = f"near the limit between {filed} and {doubt.other}; judges say {side}"
            if side == "other":
                topics[place], score = doubt.other, doubt.as_other
                said = f"filed under {filed}, but judges say that it is about {doubt.other}: relabelled"
            state: CheckState = "fail" if side == "neither" else "pass"
            findings[place] = replace(before, state=state, score=score, detail=said)
        left = {place: doubt for place, doubt in self.doubts.items() if place not in answers}
        return Labelled(tuple(findings), tuple(topics), left)


def unchecked(candidates: Sequence[Conversation]) -> Labelled:
    """Candidates as they are filed, where the check is not to run."""
    return Labelled((), tuple(candidate.topic for candidate in candidates), {})


def labelled(
    candidates: Sequence[Conversation],
    train: Sequence[Conversation],
    embedder: Embedder,
    *,
    false_rejection: float = FALSE_REJECTION,
    seed: int = 0,
) -> Labelled:
    """Holds each candidate's topic against heads cross-fitted on real data and the other folds of the pool.

    Args:
        candidates: The candidates, each with a topic.
        train: Real training conversations.
        embedder: Text to vectors.
        false_rejection: Share of right rows that may be rejected, in (0, 1).
        seed: Of the folds.
    """
    if not candidates:
        return unchecked(candidates)
    topics = topics_of([*train, *candidates])
    found = agreement(
        [c.label for c in candidates],
        embedder.encode(candidates),
        [c.label for c in train],
        embedder.encode(train),
        names=dict(zip(topics, embedder.encode_topics(topics), strict=True)),
        false_rejection=false_rejection,
        seed=seed,
    )
    better = relabelled(found)
    return Labelled(
        tuple(_finding(found, row, candidate.label, better.get(row)) for row, candidate in enumerate(candidates)),
        tuple(better.get(row, candidate.topic) for row, candidate in enumerate(candidates)),
        {row: Doubt(found.other[row], float(found.as_other[row])) for row in doubtful(found)},
    )


def relabelled(found: Agreement, least: float = LEAST) -> dict[int, str]:
    """Positions of candidates that disagree with their own topic, each with the topic that it is a good example of.

    With 10 % of a pool's topics exchanged, a quarter of those rows reach the default, all of them with the topic that
    they came from, and one clean row in a thousand.

    Args:
        found: What cross-fitted heads say of the candidates.
        least: The least share of real rows that agree less with their own topic than the candidate does with the other.
    """
    good = (found.own < found.threshold) & (found.as_other >= least)
    return {int(row): found.other[row] for row in np.flatnonzero(good)}


def doubtful(found: Agreement) -> list[int]:
    """Positions of candidates near a limit: hardly passed, or neither right where they are nor surely elsewhere.

    With a tenth of the topics of real rows exchanged, 3 % of the clean rows hardly pass, and 14 % of those that went to
    the nearest other topic. Of exchanged rows that would be thrown away, the other topic is the right one in 75 % (from
    a random topic) and 86 % (from the nearest one).
    """
    hardly = (found.own >= found.threshold) & (found.own < NEAR_LIMIT * found.threshold)
    between = (found.own < found.threshold) & (found.as_other >= NEAR_LEAST) & (found.as_other < LEAST)
    return [int(row) for row in np.flatnonzero(hardly | between)]


def _finding(found: Agreement, row: int, topic: str, better: str | None) -> Finding:
    own, other = float(found.own[row]), found.other[row]
    if np.isnan(own):
        return Finding(CHECK, "unscored", detail="nothing but the row itself tells what its topic sounds like")
    if better is not None:
        said = f"filed under {topic}, but a better example of {better}: relabelled"
        return Finding(CHECK, "pass", float(found.as_other[row]), found.threshold, said)
    said = f"the nearest other topic is {other}; {own:.1%} of real rows agree less with their own"
    return Finding(CHECK, "fail" if own < found.threshold else "pass", own, found.threshold, said)
