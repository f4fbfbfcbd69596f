"""Thresholds under which a healthy window sets off any alarm at all with a stated probability.

Windows are drawn from the reference itself, and every check is computed on each. A check's value becomes a p-value by
its rank among the windows, so that all checks are on one scale; the smallest p-value of each window is what the window
shows as a whole. The threshold of each check is where its p-value reaches the quantile of these smallest ones
(single-step min-p; Westfall and Young 1993). Checks that move together cost less than Bonferroni would charge, and no
distribution is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from posology.errors import StoreError
from posology.store import writing

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What healthy windows of one size show.

    Attributes:
        names: The K checks.
        weights: Shape (K,): what each check counts; twice the weight bears twice the false alarms.
        size: Conversations a window.
        rate: The chance that a healthy window sets off an alarm.
        values: Shape (B, K): each check of each resampled window, every column sorted.
        smallest: Shape (B,): the smallest p-value over weight of each window, sorted.
    """

    names: tuple[str, ...]
    weights: Floats
    size: int
    rate: float
    values: Floats
    smallest: Floats

    @classmethod
    def of(
        cls, resampled: Floats, names: Sequence[str], weights: Mapping[str, float], *, size: int, rate: float
    ) -> Self:
        """Learns from resampled windows, shape (B, K); large values are suspicious.

        Args:
            resampled: Each check of each window.
            names: The checks.
            weights: Of those that do not weigh 1.
            size: Conversations a window.
            rate: The chance that a healthy window may set off an alarm.
        """
        columns, weighing = np.sort(resampled, axis=0), np.array([weights.get(name, 1.0) for name in names])
        exceeding = [
            len(column) - np.searchsorted(column, own, side="left")
            for column, own in zip(columns.T, resampled.T, strict=True)
        ]
        smallest = (np.column_stack(exceeding) / len(resampled) / weighing).min(axis=1)
        return cls(tuple(names), weighing, size, rate, columns, np.sort(smallest))

    def p_value(self, name: str, value: float) -> float:
        """The chance that any check of a healthy window looks as extreme as this one does."""
        place = self.names.index(name)
        column = self.values[:, place]
        own = (1 + len(column) - int(np.searchsorted(column, value, side="left"))) / (1 + len(column))
        as_small = int(np.searchsorted(self.smallest, own / self.weights[place] * (1 + 1e-12), side="right"))
        return (1 + as_small) / (1 + len(self.smallest))

    def threshold(self, name: str) -> float:
        """The largest value that is no alarm: whatever is above has a p-value of at most `rate`."""
        column = np.unique(self.values[:, self.names.index(name)])
        low, high = 0, len(column)  # the p-value falls as the value grows
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.p_value(name, float(column[middle])) > self.rate else (low, middle)
        return float(column[low - 1]) if low else float(np.nextafter(column[0], -np.inf))

    def save(self, path: Path) -> None:
        """Writes it, whole or not at all."""
        facts = np.array([self.size, self.rate])
        with writing(path, binary=True) as handle:
            np.savez_compressed(
                handle,
                names=np.array(self.names),
                facts=facts,
                weights=self.weights,
                values=self.values,
                smallest=self.smallest,
            )

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """What `save` wrote.

        Raises:
            StoreError: The file is missing or damaged.
        """
        try:
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as kept:
                size, rate = kept["facts"].tolist()
                names = tuple(kept["names"].tolist())
                return cls(names, kept["weights"], int(size), rate, kept["values"], kept["smallest"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise StoreError(f"{path} is missing or damaged.", remedy="It is made anew when it is deleted.") from error
