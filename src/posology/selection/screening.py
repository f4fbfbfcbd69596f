"""What of a pool is not worth ranking: copies of real training data, and copies within the pool."""

from __future__ import annotations

from collections.abc import Sequence

from posology.matching.near import Match, NearRule, between, strongest, within
from posology.records import Conversation, Rejection


def screen(
    pool: Sequence[Conversation],
    pool_texts: Sequence[str],
    real: Sequence[Conversation],
    real_texts: Sequence[str],
    *,
    rule: NearRule,
) -> tuple[list[int], list[Rejection]]:
    """Sets copies aside: they would make a dose look larger than what it brings.

    Args:
        pool: Synthetic conversations.
        pool_texts: Their texts.
        real: Real training conversations.
        real_texts: Their texts.
        rule: From where on two texts are one message.

    Returns:
        Positions of the kept pool rows, and a rejection (`duplicate_of_real`, `duplicate_in_pool`, `no_text`) for each
        of the others. Of equal pool rows the first is kept; pool rows that are only alike stay, since the priority
        order puts them last by itself.
    """
    rejected: dict[int, Rejection] = {
        row: Rejection(pool[row].id, "no_text", "none of its turns counts under the text rule")
        for row, text in enumerate(pool_texts)
        if not text.strip()
    }
    for row, match in strongest(between(pool_texts, real_texts, rule=rule)).items():
        other = real[match.right].id
        rejected.setdefault(
            row, _rejection(pool[row].id, "duplicate_of_real", f"copies the real row {other}", other, match)
        )
    for match in within(pool_texts, rule=NearRule(jaccard=1.0)):
        if match.kind == "exact":
            other = pool[match.left].id
            reason = _rejection(
                pool[match.right].id, "duplicate_in_pool", f"repeats the pool row {other}", other, match
            )
            rejected.setdefault(match.right, reason)
    kept = [row for row in range(len(pool)) if row not in rejected]
    return kept, [rejected[row] for row in sorted(rejected)]


def _rejection(row_id: str, reason: str, detail: str, other: str, match: Match) -> Rejection:
    return Rejection(row_id, reason, detail, other, round(match.score, 4), match.threshold)
