"""What a trainer must offer, and how one is named.

A trainer of your own is any class with these methods, given to `posology.sweep(trainer=...)` or named on the command
line as `package.module:Class`; it is called without arguments.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from posology.embedding.embedder import Embedder
from posology.errors import TrainingError, UsageError
from posology.records import Conversation, Mixture, Predictions


class Variant(Protocol):
    """A model trained on one mixture."""

    def predict(self, conversations: Sequence[Conversation]) -> Predictions:
        """Topics and probabilities of n conversations; their own topics are not read."""

    def save(self, folder: Path) -> None:
        """Writes the variant into a folder, in a format that can be read without running code from it (no pickle)."""


@runtime_checkable
class Trainer(Protocol):
    """Makes variants. The same trainer, prepared once, trains every arm of a sweep; `fit` may run in several threads.

    Attributes:
        identity: Name and every setting that shapes a variant; results are reused only under the same identity. It is
            read before `prepare` for the run as a whole, and after it for each variant.
        uses_seed: Whether two fits on one mixture with different seeds may differ. If not, one fit serves all seeds.
    """

    uses_seed: bool

    @property
    def identity(self) -> str:
        """See above; a plain attribute will do."""

    def prepare(self, real: Sequence[Conversation]) -> None:
        """Chooses hyperparameters on real training data, once, for all arms."""

    def fit(self, mixture: Mixture) -> Variant:
        """Trains on a mixture, with its weights and its seed."""

    def load(self, folder: Path) -> Variant:
        """Reads a variant that `save` wrote."""


def make_trainer(spec: str, embedder: Embedder, jobs: int = 1) -> Trainer:
    """The trainer of a name.

    Args:
        spec: `head`, or `package.module:Class` for one of your own.
        embedder: Text to vectors, for trainers that need it.
        jobs: Threads it may use to prepare.

    Raises:
        UsageError: No such trainer.
        TrainingError: A class of your own does not follow the contract.
    """
    from posology.training.head import HeadTrainer

    if spec == "head":
        return HeadTrainer(embedder, jobs)
    module, _, name = spec.partition(":")
    if not name:
        raise UsageError(f"unknown trainer {spec!r}.", remedy="Use `head`, or `package.module:Class` for your own.")
    try:
        trainer = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"trainer {spec!r} cannot be loaded: {error}.", remedy="Is it on PYTHONPATH?") from error
    if not isinstance(trainer, Trainer):
        raise TrainingError(
            f"trainer {spec!r} lacks a part of the contract.",
            remedy="It needs identity, uses_seed, prepare, fit and load; see docs/trainers.md.",
        )
    return trainer
