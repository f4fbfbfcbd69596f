"""How many examples each topic is to get: read from gaps.json, and scaled to a count."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from posology.errors import InputError, UsageError
from posology.records import Gap

_REMEDY = "Write it with `posology gaps`."


def read_gaps(path: Path) -> list[Gap]:
    """Reads the topics of a gaps.json.

    Raises:
        InputError: The file is missing or broken, or a topic in it lacks something.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error.__class__.__name__}.", file=path, remedy=_REMEDY) from None
    except ValueError:
        raise InputError("is no JSON.", file=path, remedy=_REMEDY) from None
    topics = tree.get("topics") if isinstance(tree, dict) else None
    if not isinstance(topics, list) or not topics:
        raise InputError("has no list of topics.", file=path, remedy=_REMEDY)
    return [_gap(row, place, path) for place, row in enumerate(topics, start=1)]


def _gap(row: Any, place: int, path: Path) -> Gap:  # noqa: ANN401 - any JSON value
    row = row if isinstance(row, Mapping) else {}
    topic, want, n_real = row.get("topic"), row.get("want"), row.get("n_real", 0)
    if not isinstance(topic, str) or not topic:
        raise InputError(f"topic {place} has no name.", file=path, remedy=_REMEDY)
    if not isinstance(want, int) or isinstance(want, bool) or want < 0:
        raise InputError(f"topic {place} needs a whole number `want`, 0 or more.", file=path, remedy=_REMEDY)
    interval = row.get("recall_ci95")
    return Gap(
        topic=topic,
        n_real=n_real if isinstance(n_real, int) else 0,
        recall=row.get("recall"),
        recall_ci95=tuple(interval) if isinstance(interval, list) and len(interval) == 2 else None,
        want=want,
        reason=str(row.get("reason", "")),
    )


def wanted(gaps: Sequence[Gap], count: int | None = None) -> dict[str, int]:
    """How many examples to generate for each topic.

    Args:
        gaps: Topics and what they want.
        count: All examples together; None takes what the gaps want. Other counts are shared out in proportion to
            that, by largest remainders (Hamilton's method), equally if no topic wants any.

    Returns:
        By topic, in the order of the gaps; topics that get none are left out.

    Raises:
        UsageError: The count is negative, there is no topic, or nothing is wanted.
    """
    if not gaps:
        raise UsageError("there is no topic to generate for.", remedy=_REMEDY)
    if count is None:
        shares = {gap.topic: gap.want for gap in gaps}
        if not any(shares.values()):
            raise UsageError("no topic wants examples.", remedy="Give --count, or a larger budget to `posology gaps`.")
        return {topic: n for topic, n in shares.items() if n}
    if count < 1:
        raise UsageError(f"a count of {count} makes no sense.", remedy="Give a count of 1 or more.")
    weights = [gap.want for gap in gaps] if any(gap.want for gap in gaps) else [1] * len(gaps)
    total = sum(weights)
    floors = [count * weight // total for weight in weights]
    by_remainder = sorted(range(len(gaps)), key=lambda i: (-(count * weights[i] % total), i))
    for i in by_remainder[: count - sum(floors)]:
        floors[i] += 1
    return {gap.topic: n for gap, n in zip(gaps, floors, strict=True) if n}
