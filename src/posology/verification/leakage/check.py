"""The leakage check: three findings a candidate, and what the set says as a whole.

    found = leakage(pool, holdout, train, rule=rule, embed=embedder.encode_texts)
    found.exact[k], found.near[k], found.paraphrase[k]      # of pool[k]

Limits come from how near real training rows come to the holdout, never from likeness alone: see `copies`, `paraphrases`
and `sets` for each. Without real rows, or with too few, fixed and careful limits decide on copies, and nothing is said
of paraphrases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from posology.records import Conversation, Finding, TextRule
from posology.verification.leakage.copies import CONTAINED, WORDING, Hit, NearCopies, exact
from posology.verification.leakage.paraphrases import Embed, Nearest, Paraphrases, tells_apart
from posology.verification.leakage.passages import passages
from posology.verification.leakage.sets import Labelled, SetTest, set_test
from posology.verification.leakage.thresholds import Threshold

SAMPLE = 5_000  # real rows that set the limits; more would move them by less than their interval
SAMPLED = 10_000  # rows of each side that the test of the set looks at
EXACT, NEAR, PARAPHRASE = "leaked_exact", "leaked_near", "leaked_paraphrase"


@dataclass(frozen=True, slots=True)
class Leakage:
    """What the check found.

    Attributes:
        exact: A finding a candidate, in order: the holdout's words.
        near: Likewise: nearly the holdout's words, or a held-out text inside a longer one.
        paraphrase: Likewise: the holdout in other words; `unscored` where that cannot be told.
        limits: What real rows set, by `wording`, `contained` and `paraphrase`; None where they were too few.
        by_row: Whether conversations are long enough to call paraphrases row by row.
        whole_set: The test of the set as a whole; None without real rows, vectors or common topics.
        doubts: Pairs whose score lies within the uncertainty of the limit for paraphrases: place of the candidate, and
            place of the held-out conversation. A judge may be asked; until then the score decides.
    """

    exact: tuple[Finding, ...]
    near: tuple[Finding, ...]
    paraphrase: tuple[Finding, ...]
    limits: Mapping[str, Threshold | None]
    by_row: bool
    whole_set: SetTest | None
    doubts: Mapping[int, int] = field(default_factory=dict)

    @property
    def leaks(self) -> list[Finding | None]:
        """The first failed finding of each candidate, None for a candidate that is clean as far as can be told."""
        return [
            next((finding for finding in findings if finding.state == "fail"), None)
            for findings in zip(self.exact, self.near, self.paraphrase, strict=True)
        ]

    def settled(self, answers: Mapping[int, bool]) -> Leakage:
        """The same with answers of judges in the place of doubts.

        Args:
            answers: By place, whether the candidate retells the held-out conversation; only of candidates in doubt.
        """
        if not answers.keys() <= self.doubts.keys():
            raise ValueError(f"no doubt about {sorted(answers.keys() - self.doubts.keys())}")
        paraphrase = list(self.paraphrase)
        for place, retold in answers.items():
            finding = paraphrase[place]
            detail = _told(str(finding.other_id), retold) + ", say the judges"
            paraphrase[place] = replace(finding, state="fail" if retold else "pass", detail=detail)
        left = {place: other for place, other in self.doubts.items() if place not in answers}
        return replace(self, paraphrase=tuple(paraphrase), doubts=left)


def leakage(
    candidates: Sequence[Conversation],
    holdout: Sequence[Conversation],
    real: Sequence[Conversation] = (),
    *,
    rule: TextRule,
    embed: Embed | None = None,
    seed: int = 0,
) -> Leakage:
    """Looks for the holdout in candidates.

    Args:
        candidates: Rows to be trained on: a pool, or a training set to audit.
        holdout: Held-out conversations, of whatever number.
        real: Real training conversations that are known to be apart from the holdout; they set the limits.
        rule: What of a conversation is compared.
        embed: Texts to L2-normalised vectors; None: paraphrases are not looked for.
        seed: Of the samples that large sets are drawn to.

    Raises:
        InputError: `embed` gives vectors of different encoders.
    """
    rng = np.random.default_rng(seed)
    sample = _sample(real, SAMPLE, rng)
    own, held, known = (passages(rows, rule) for rows in (candidates, holdout, sample))
    copied = exact(own, held, known)
    # A turn inside a held-out text is a turn of it: as such it is compared by its wording.
    kinds = {"wording": (WORDING, own, known), "contained": (CONTAINED, own.wholes, known.wholes)}
    finders = {name: NearCopies(kind, held, theirs) for name, (kind, _, theirs) in kinds.items()}
    hits = {name: finders[name].hits(ours) for name, (_, ours, _) in kinds.items()}
    texts = set(own.rows.tolist())
    limits: dict[str, Threshold | None] = {name: finder.limit for name, finder in finders.items()}
    doubts: Mapping[int, int] = {}
    by_row = embed is not None and tells_apart(holdout) and tells_apart(candidates)
    if embed is not None and by_row:
        roles = frozenset(m.role for c in holdout for m in c.messages)
        roles &= frozenset(m.role for c in candidates for m in c.messages)
        finder = Paraphrases(holdout, sample, embed, roles=roles)
        limits["paraphrase"] = finder.limit
        nearest = finder.nearest(candidates)
        paraphrase = _retold(nearest, holdout, finder.limit)
        doubts = _doubts(nearest, finder.limit)
    else:
        why = "no vectors" if embed is None else "on short messages honest neighbours lie as near as paraphrases"
        paraphrase = [_cannot_tell(why)] * len(candidates)
    return Leakage(
        exact=tuple(_exact(copied.get(row), holdout, row in texts) for row in range(len(candidates))),
        near=tuple(
            _near(hits["wording"].get(row), hits["contained"].get(row), holdout, row in texts)
            for row in range(len(candidates))
        ),
        paraphrase=tuple(paraphrase),
        limits=limits,
        by_row=by_row,
        whole_set=_whole_set(candidates, holdout, real, rule, embed, rng) if embed is not None and real else None,
        doubts=doubts,
    )


def _exact(other: int | None, holdout: Sequence[Conversation], has_text: bool) -> Finding:
    if not has_text:
        return Finding(EXACT, "unscored", detail="none of its turns counts under the text rule")
    if other is None:
        return Finding(EXACT, "pass")
    same = holdout[other].id
    return Finding(EXACT, "fail", 1.0, 1.0, f"holds the text of held-out conversation {same!r}", same)


def _near(wording: Hit | None, contained: Hit | None, holdout: Sequence[Conversation], has_text: bool) -> Finding:
    if not has_text:
        return Finding(NEAR, "unscored", detail="none of its turns counts under the text rule")
    for hit, what in ((wording, "nearly the text of"), (contained, "shares a passage with")):
        if hit is not None and hit.leaked:
            other = holdout[hit.other].id
            return Finding(NEAR, "fail", hit.score, hit.limit, f"{what} held-out conversation {other!r}", other)
    if wording is None:
        return Finding(NEAR, "pass")
    detail = "no nearer to the held-out text than real rows come"
    return Finding(NEAR, "pass", wording.score, wording.limit, detail, holdout[wording.other].id)


def _cannot_tell(why: str) -> Finding:
    return Finding(PARAPHRASE, "unscored", detail=f"cannot tell: {why}")


def _retold(nearest: Nearest, holdout: Sequence[Conversation], limit: Threshold | None) -> list[Finding]:
    if limit is None:
        return [_cannot_tell("too few real conversations to know how near honest ones come")] * len(nearest.other)
    found = []
    for other, score in zip(nearest.other.tolist(), nearest.score.tolist(), strict=True):
        if other < 0:
            found.append(_cannot_tell("the conversation says too little"))
            continue
        retold, held = score > limit.value, holdout[other].id
        found.append(Finding(PARAPHRASE, "fail" if retold else "pass", score, limit.value, _told(held, retold), held))
    return found


def _told(other: str, retold: bool) -> str:
    return f"retells held-out conversation {other!r}" if retold else "tells another story"


def _doubts(nearest: Nearest, limit: Threshold | None) -> dict[int, int]:
    """The pairs whose score lies within the uncertainty of the limit."""
    if limit is None:
        return {}
    near = (nearest.other >= 0) & (nearest.score >= limit.low) & (nearest.score <= limit.high)
    return {int(place): int(nearest.other[place]) for place in np.flatnonzero(near)}


def _whole_set(
    candidates: Sequence[Conversation],
    holdout: Sequence[Conversation],
    real: Sequence[Conversation],
    rule: TextRule,
    embed: Embed,
    rng: np.random.Generator,
) -> SetTest | None:
    sides = []
    for rows in (candidates, holdout, real):
        texts = [(rule.text(c), c.topic) for c in _sample(rows, SAMPLED, rng)]
        texts = [(text, topic) for text, topic in texts if text]
        if not texts:
            return None
        sides.append(Labelled(embed([text for text, _ in texts]), [topic for _, topic in texts]))
    return set_test(*sides, rng=rng)


def _sample(rows: Sequence[Conversation], most: int, rng: np.random.Generator) -> Sequence[Conversation]:
    if len(rows) <= most:
        return rows
    return [rows[row] for row in np.sort(rng.choice(len(rows), most, replace=False)).tolist()]
