"""Twins: the same message twice, exactly or nearly, within one list of texts or between two.

**What counts as near.** The same sentence with a typo, another casing, a dropped word, an added "please" or "thanks" is
a twin; the same intent in other words is not. Texts are compared by the Jaccard similarity of their windows of four
characters. The default threshold of 0.7 was found on training data only:

- Real messages (BANKING77, 2,000; median 9 words), changed once by a program, keep a score of 0.7 in 90 % (two letters
  swapped), 97 % (a letter replaced), 99 % (a letter or a short word dropped) and 99.6 % (please, thanks) of cases. In
  longer texts (TwACS, 491; median 23 words) 95 % of changes leave 0.85 or more.
- Pairs of the kinds that stand around the line. Below it: "My order was cancelled. Why did this happen?" / "My order
  was cancelled, why is that?" (0.51), "What colours can I order?" / "What colours can I choose?" (0.57). Above it:
  "Tell me why my code is refused." / "Tell me why my code was refused." (0.74), "Help me cancel my order." / "Please
  help me cancel my order." (0.76). From 0.65 to 0.75 the two kinds mix in very short messages: "Can I return my boots?"
  passes for a twin of "Can I return my boots abroad?" (0.74). A twin too many costs one row, a twin missed flatters a
  result.
- Windows of five score as well at 0.65, windows of three do worse at any threshold, and words or pairs of words beside
  the windows change little.

**Why cosine is off.** Vectors of sentence encoders see meaning, and twins are about wording. Of the 70 pairs of those
messages with a cosine of 0.98 or more, 45 are no twins (pairs like the cancelled orders above), while one twin
in twenty lies below 0.84, since a typo can break the very word that matters. `NearRule(cosine=...)` finds paraphrases
for those who want them.

**Limits.** Languages that put no spaces between words pack more meaning into four characters, so their short texts must
agree more. A text of which another holds only a part (a conversation cut short) is no twin of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from posology.errors import UsageError
from posology.matching.normalise import normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["exact", "near", "semantic"]
_STRENGTH: dict[Kind, int] = {"exact": 2, "near": 1, "semantic": 0}


@dataclass(frozen=True, slots=True)
class NearRule:
    """From where on two texts match.

    Attributes:
        jaccard: The least Jaccard similarity of near copies, in (0, 1].
        cosine: The least cosine of semantic matches, in (0, 1]; None looks for none.
    """

    jaccard: float = 0.7
    cosine: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("jaccard", self.jaccard), ("cosine", self.cosine)):
            if value is not None and not 0 < value <= 1:
                raise UsageError(f"a {name} threshold of {value} makes no sense.", remedy="Choose one in (0, 1].")


@dataclass(frozen=True, slots=True)
class Match:
    """Two texts that are one message.

    Attributes:
        left: Position in the first list; in one list, the earlier of the two.
        right: Position in the second list; in one list, the later of the two.
        kind: `exact` (equal when normalised), `near` (by wording) or `semantic` (by vector).
        score: 1 for exact, else the true Jaccard similarity, or the cosine.
        threshold: What the score was held against.
    """

    left: int
    right: int
    kind: Kind
    score: float
    threshold: float


def within(texts: Sequence[str], vectors: NDArray[np.float32] | None = None, *, rule: NearRule) -> list[Match]:
    """Twins in one list.

    Copies of a text match its first standing, and the first standing alone matches other texts: n equal texts give
    n - 1 matches, not n². A crowd of more than 64 texts that are all nearly alike is tied together, but not every
    pair in it is listed.

    Args:
        texts: The texts, normalised here.
        vectors: L2-normalised float32 vectors of the texts, shape (n, d); needed for semantic matches only.
        rule: The thresholds.

    Returns:
        Matches, ordered by `left`, then `right`; each pair once, by the strongest kind that holds.

    Raises:
        ValueError: The vectors do not fit the texts.
    """
    _check(texts, vectors)
    places = _places(texts)
    firsts = [rows[0] for rows in places.values()]
    found = [Match(rows[0], copy, "exact", 1.0, 1.0) for rows in places.values() for copy in rows[1:]]
    own = None if vectors is None else vectors[firsts]
    for later, earlier, kind, score, threshold in _similar(list(places), None, own, None, rule):
        found.append(Match(firsts[earlier], firsts[later], kind, score, threshold))
    return sorted(found, key=lambda match: (match.left, match.right))


def between(
    left: Sequence[str],
    right: Sequence[str],
    left_vectors: NDArray[np.float32] | None = None,
    right_vectors: NDArray[np.float32] | None = None,
    *,
    rule: NearRule,
) -> list[Match]:
    """Twins of each left text on the right.

    A right text that stands several times is matched at its first standing; a left text matches at each of its own. A
    left text with more than 64 near copies on the right is matched with the 64 best.

    Args:
        left: Texts, normalised here.
        right: Texts to hold them against.
        left_vectors: L2-normalised float32 vectors, shape (n, d); needed, on both sides, for semantic matches only.
        right_vectors: Likewise, shape (m, d).
        rule: The thresholds.

    Returns:
        Matches, ordered by `left`, then `right`; each pair once, by the strongest kind that holds.

    Raises:
        ValueError: The vectors do not fit the texts, or are given for one side only.
    """
    _check(left, left_vectors)
    _check(right, right_vectors)
    if (left_vectors is None) != (right_vectors is None):
        raise ValueError("vectors are given for one side only")
    places, others = _places(left), _places(right)
    rows, firsts = list(places.values()), [rows[0] for rows in others.values()]
    found = [
        Match(row, others[text][0], "exact", 1.0, 1.0) for text in places if text in others for row in places[text]
    ]
    a = None if left_vectors is None else left_vectors[[standing[0] for standing in rows]]
    b = None if right_vectors is None else right_vectors[firsts]
    for i, j, kind, score, threshold in _similar(list(places), list(others), a, b, rule):
        found += [Match(row, firsts[j], kind, score, threshold) for row in rows[i]]
    return sorted(found, key=lambda match: (match.left, match.right))


def strongest(matches: Iterable[Match]) -> dict[int, Match]:
    """The best match of each left text: exact before near before semantic, then by score, then the earliest."""
    best: dict[int, Match] = {}
    for match in matches:
        other = best.get(match.left)
        if other is None or _strength(match) > _strength(other):
            best[match.left] = match
    return best


def _strength(match: Match) -> tuple[int, float, int]:
    return _STRENGTH[match.kind], match.score, -match.right


def _places(texts: Sequence[str]) -> dict[str, list[int]]:
    """Where each distinct normalised text stands."""
    places: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        places.setdefault(normalise(text), []).append(row)
    return places


def _check(texts: Sequence[str], vectors: NDArray[np.float32] | None) -> None:
    if vectors is not None and (vectors.ndim != 2 or len(vectors) != len(texts)):
        raise ValueError(f"{len(texts)} texts, but vectors of shape {vectors.shape}")


def _similar(
    left: list[str],
    right: list[str] | None,
    left_vectors: NDArray[np.float32] | None,
    right_vectors: NDArray[np.float32] | None,
    rule: NearRule,
) -> Iterator[tuple[int, int, Kind, float, float]]:
    """Near and semantic pairs of distinct normalised texts; in one list, the left position is the larger."""
    from posology.matching.semantic import cosine_pairs
    from posology.matching.shingles import near_pairs

    seen = set()
    for i, j, score in _rows(near_pairs(left, right, rule.jaccard)):
        seen.add((i, j))
        if right is None or left[i] != right[j]:
            yield i, j, "near", score, rule.jaccard
    if rule.cosine is None or left_vectors is None:
        return
    for i, j, score in _rows(cosine_pairs(left_vectors, right_vectors, rule.cosine)):
        if (i, j) not in seen:
            yield i, j, "semantic", score, rule.cosine


def _rows(pairs: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]) -> Iterator[tuple[int, int, float]]:
    return zip(*(column.tolist() for column in pairs), strict=True)
