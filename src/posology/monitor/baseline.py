"""What later weeks are held against: the deployed variant's answers, and reference traffic with learned thresholds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from posology.errors import StoreError, UsageError
from posology.monitor.calibration import Calibration
from posology.monitor.checks import NAMES, WEIGHTS, Norms, Reference
from posology.monitor.windows import Window
from posology.store import read_json, write_json

SCHEMA_VERSION = 1
FOLDER, FACTS = "baseline", "baseline.json"
DRAWS = 4000  # resampled windows that thresholds are learned from
MOST_REFERENCE = 4000  # conversations of a reference; more make its thresholds no better
LEAST_REFERENCE = 100
LEAST_WINDOW = 20  # conversations below which a window says nothing


@dataclass(frozen=True, slots=True)
class Baseline:
    """The facts of a baseline.

    Attributes:
        identity: Encoder, text rule, real training data, what the variant was trained on: a check must find them again;
            and the sweep.
        variant: Key of the variant that gave the answers.
        rate: The chance that healthy traffic sets off any alarm; a new variant that is as good as the old one has the
            same. An unchanged one cannot.
        window: Conversations a week that thresholds were learned for at once.
        norms: What is usual among training examples.
        reference: Where reference traffic came from: `source`, `n`, `sha256`.
        holdout: Hash of the held-out conversations.
        right: By id of a held-out conversation: whether the variant was right.
        pool: Whether accepted synthetic conversations are held too.
    """

    identity: Mapping[str, str]
    variant: str
    rate: float
    window: int
    norms: Norms
    reference: Mapping[str, Any]
    holdout: str
    right: Mapping[str, bool]
    pool: bool

    @property
    def id(self) -> str:
        """A short name that changes with anything in it."""
        facts = json.dumps(self._facts(), sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:12]

    def _facts(self) -> dict[str, Any]:
        return {
            "identity": dict(self.identity),
            "variant": self.variant,
            "rate": self.rate,
            "window": self.window,
            "norms": {
                "near": self.norms.near,
                "languages": list(self.norms.languages),
                "most_words": self.norms.most_words,
            },
            "reference": dict(self.reference),
            "holdout": self.holdout,
            "right": dict(self.right),
            "pool": self.pool,
        }

    def save(self, folder: Path) -> None:
        """Writes the facts; the windows are written before, so that facts stand only for a whole baseline."""
        write_json(folder / FOLDER / FACTS, {"schema_version": SCHEMA_VERSION, "id": self.id, **self._facts()})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote.

        Raises:
            UsageError: There is no baseline.
            StoreError: It is damaged.
        """
        place, remedy = folder / FOLDER / FACTS, "Make it with `posology monitor init`."
        if not place.is_file():
            raise UsageError(f"{folder.parent} has no baseline of the monitor.", remedy=remedy)
        try:
            kept = read_json(place)
            norms = Norms(kept["norms"]["near"], tuple(kept["norms"]["languages"]), kept["norms"]["most_words"])
            names = ("identity", "variant", "rate", "window", "reference", "holdout", "right", "pool")
            return cls(norms=norms, **{name: kept[name] for name in names})
        except (StoreError, KeyError, TypeError) as error:
            raise StoreError(f"{place} is damaged.", remedy=remedy) from error

    def check(self, identity: Mapping[str, str]) -> None:
        """Makes sure that a check sees as the baseline did.

        Raises:
            StoreError: Encoder, text rule, real training data, or what the variant was trained on are others than the
                baseline was made with. Another sweep that trained the same variant is none.
        """
        again = "Make it anew with `posology monitor init`."
        for name, called in (("encoder", "the encoder"), ("text_rule", "the text rule")):
            if identity[name] != self.identity[name]:
                raise StoreError(
                    f"the baseline was made with {called} {self.identity[name]!r}, the run now has {identity[name]!r}.",
                    remedy=again,
                )
        if identity["training"] != self.identity["training"]:
            raise StoreError("the training data of the run has changed since the baseline was made.", remedy=again)
        if identity["learned"] != self.identity.get("learned"):
            raise StoreError(
                "what the variant of the baseline was trained on is no longer what the run holds: it was selected or "
                "swept anew since.",
                remedy=again,
            )


class Measured:
    """Reference conversations with the thresholds that were learned from them.

    Args:
        folder: `RUN/monitor`.
        name: `traffic` or `pool`: which reference.
        norms: What is usual.
        rate: The chance that a healthy window sets off an alarm.
        names: The checks that are held against it.
    """

    def __init__(self, folder: Path, name: str, norms: Norms, *, rate: float, names: tuple[str, ...] = NAMES) -> None:
        self.place, self.name, self.rate, self.names = folder / FOLDER, name, rate, names
        self.reference = Reference(Window.load(self.place / f"{name}.npz"), norms)

    def size_for(self, n: int) -> int:
        """How many of n conversations are judged: no more than half as many as the reference has."""
        return min(n, len(self.reference) // 2)

    def calibration(self, size: int) -> Calibration:
        """Thresholds for windows of so many conversations; learned once and kept."""
        file = self.place / f"{self.name}-{size}.npz"
        try:
            kept = Calibration.load(file)
            if (kept.names, kept.rate, kept.size) == (self.names, self.rate, size):
                return kept
        except StoreError:
            pass  # missing, or of an older baseline
        found = learned(self.reference, size, self.rate, self.names)
        found.save(file)
        return found


def learned(reference: Reference, size: int, rate: float, names: tuple[str, ...] = NAMES, seed: int = 0) -> Calibration:
    """Thresholds of some checks for windows of one size."""
    columns = [NAMES.index(name) for name in names]
    resampled = reference.resample(size, DRAWS, seed)[:, columns]
    return Calibration.of(resampled, names, WEIGHTS, size=size, rate=rate)
