"""The content of gaps/gaps.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from posology.gaps.allocation import DEFAULT, Allocation, TopicStats
from posology.gaps.slices import SliceGap
from posology.gaps.topics import topic_warnings
from posology.gaps.traffic import TrafficGaps
from posology.records import Gap

SCHEMA_VERSION = 1


def gaps_result(
    gaps: Sequence[Gap],
    stats: Sequence[TopicStats],
    *,
    budget: int,
    slices: Sequence[SliceGap] = (),
    traffic: TrafficGaps | None = None,
    allocation: Allocation = DEFAULT,
) -> dict[str, Any]:
    """Puts together what was found.

    Args:
        gaps: From `topic_gaps`.
        stats: From `topic_stats` on the same data.
        budget: What was given to `topic_gaps`.
        slices: From `slices`.
        traffic: From `traffic_clusters`, None if there was no traffic.
        allocation: What was given to `topic_gaps`.

    Returns:
        A tree ready for JSON, with the gaps in their order and every setting and fitted number that led to them.
    """
    warnings = topic_warnings(stats, gaps)
    if traffic is not None and traffic.threshold is None:
        warnings.append("Traffic could not be judged: it has no text, or there are fewer than two training examples.")
    return {
        "schema_version": SCHEMA_VERSION,
        "topics": [asdict(gap) for gap in gaps],
        "slices": [asdict(part) for part in slices],
        "traffic": None if traffic is None else asdict(traffic),
        "allocation": {**allocation.describe(stats), "budget": budget},
        "warnings": warnings,
    }
