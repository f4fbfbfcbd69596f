"""What a check says, as it is printed, kept and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from posology.monitor.checks import MEANING

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


def verdict_of(checks: Sequence[Mapping[str, Any]]) -> Verdict:
    """The verdict of a batch: `unscored` where none of the checks of its traffic could be made, and none is drift.

    Args:
        checks: As `Check.to_json` gives them.
    """
    if any(check["verdict"] == "drift" for check in checks):
        return "drift"
    traffic = [check["verdict"] for check in checks if check["name"] in MEANING]
    return "unscored" if traffic and set(traffic) == {"unscored"} else "ok"


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
