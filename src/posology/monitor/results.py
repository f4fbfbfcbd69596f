"""What a check says, as it is printed, kept and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["ok", "drift", "unscored"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one batch.

    Attributes:
        name: Which.
        value: What was measured; the larger the worse. None if there was too little to measure.
        threshold: The most that is no alarm, None likewise.
        p_value: The chance that any check of a healthy batch looks as extreme; None where nothing is left to chance.
        verdict: `drift` where the value is above the threshold.
        note: What moved, for people; topics and figures, never conversation text.
    """

    name: str
    value: float | None
    threshold: float | None
    p_value: float | None
    verdict: Verdict
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """One entry of `checks`."""
        return {
            "name": self.name,
            "value": _digits(self.value),
            "threshold": _digits(self.threshold),
            "p_value": _digits(self.p_value),
            "verdict": self.verdict,
            "note": self.note,
        }


def counted(name: str, value: float, most: float, note: str = "") -> Check:
    """A check that leaves nothing to chance: whatever is above is drift."""
    return Check(name, value, most, None, "drift" if value > most else "ok", note if value > most else "")


def unscored(names: Sequence[str], why: str) -> list[Check]:
    """Checks for which there was too little."""
    return [Check(name, None, None, None, "unscored", why) for name in names]


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
