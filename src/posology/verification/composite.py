"""The composite: one figure in [0, 1] out of all scores of a candidate."""

from __future__ import annotations

from collections.abc import Mapping


def composite(scores: Mapping[str, float | None], weights: Mapping[str, float] | None = None) -> float | None:
    """The weighted mean over what was scored; what could not be judged neither helps nor harms.

    Args:
        scores: In [0, 1], by name; None where there is none.
        weights: 0 or more, by name. Without any, all weigh the same; with some, other names weigh nothing.

    Returns:
        None if nothing that weighs was scored.
    """
    known = [(score, weights.get(name, 0.0) if weights else 1.0) for name, score in scores.items() if score is not None]
    whole = sum(weight for _, weight in known)
    return sum(score * weight for score, weight in known) / whole if whole > 0 else None
