"""The cliff: the dose at which accuracy falls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posology.evaluation.paired import contrasts, difference_matrix
from posology.evaluation.resampling import Estimate, Scores


@dataclass(frozen=True, slots=True)
class Cliff:
    """The largest proven fall between neighbouring doses.

    Attributes:
        dose: The higher of the two doses, None if no fall is proven.
        drop: How much accuracy is lost (positive) with its interval, None likewise.
    """

    dose: float | None = None
    drop: Estimate | None = None

    def to_json(self) -> dict[str, object]:
        """The `cliff` part of `sweep/dose_response.json`."""
        if self.drop is None:
            return {"detected": False, "dose": None, "drop": None, "ci95": None}
        ends = [round(self.drop.low, 6), round(self.drop.high, 6)]
        return {"detected": True, "dose": self.dose, "drop": round(self.drop.mean, 6), "ci95": ends}


def find_cliff(doses: Sequence[float], scores: Scores, *, alpha: float = 0.05, seed: int = 0) -> Cliff:
    """Looks for a fall between each dose and the next, with intervals simultaneous over all these pairs.

    Args:
        doses: The selected doses, ascending.
        scores: Accuracy of these arms, in this order.
        alpha: One minus the simultaneous confidence.
        seed: Of the sign flips.

    Returns:
        The largest fall whose whole interval is a fall.
    """
    pairs = [(i, i + 1) for i in range(len(doses) - 1)]
    if not pairs:
        return Cliff()
    drops = contrasts(scores, difference_matrix(pairs, len(doses)), level=1 - alpha, seed=seed)
    proven = np.flatnonzero(drops.significant(alpha) & (drops.low > 0))
    if not len(proven):
        return Cliff()
    i = int(proven[np.round(drops.mean[proven], 9).argmax()])
    return Cliff(doses[i + 1], drops.estimate(i))
