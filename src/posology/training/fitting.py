"""Trains and applies the variants of a sweep, each once, each kept as soon as it is finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from posology import fingerprint
from posology.progress import Progress
from posology.records import ArmResult, Conversation, Mixture
from posology.store import writing
from posology.threads import single_threaded
from posology.training.contract import Trainer

PREDICTIONS = "predictions.npz"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one variant says of the n conversations it was tried on.

    Attributes:
        key: Identity of the variant and of what it was tried on; also the name of its folder.
        predicted: Shape (n,): index into the sweep's topics.
        probability: Shape (n,): probability of the predicted topic.
    """

    key: str
    predicted: NDArray[np.int32]
    probability: NDArray[np.float32]


def fit_all(
    mixtures: Sequence[Mixture],
    trainer: Trainer,
    trials: Sequence[Conversation],
    topics: Sequence[str],
    folder: Path,
    *,
    jobs: int = 1,
    progress: Progress,
    label: str = "training",
) -> list[Outcome]:
    """Trains a variant on each mixture and lets it predict.

    Mixtures that hold the same examples share one variant (unless the trainer uses the seed), and a variant that stands
    in `folder` already is read, not trained: an interrupted sweep goes on where it was.

    Args:
        mixtures: Training sets.
        trainer: A prepared trainer.
        trials: The conversations to predict; their topics are not shown to the variant.
        topics: Every label that may be predicted.
        folder: Where variants are kept, one folder each.
        jobs: Trainings at a time. Linear algebra runs on one thread in each, so that the number of jobs and of the
            machine's cores changes the time and not the result.
        progress: Told of every finished variant.
        label: What the progress is called.

    Returns:
        One outcome a mixture, in their order.
    """
    keys = _keys(mixtures, trainer, trials)
    places = {topic: place for place, topic in enumerate(topics)}
    first = {key: mixture for key, mixture in reversed(list(zip(keys, mixtures, strict=True)))}
    done = {key: outcome for key in first if (outcome := _kept(folder / key, key, len(trials))) is not None}
    progress.step(label, len(done), len(first))

    def train(key: str) -> Outcome:
        variant = trainer.fit(first[key])
        predictions = variant.predict(trials)
        predicted = np.array([places[topic] for topic in predictions.best], dtype=np.int32)
        variant.save(folder / key)
        with writing(folder / key / PREDICTIONS, binary=True) as handle:
            np.savez(handle, predicted=predicted, probability=predictions.confidence)
        return Outcome(key, predicted, predictions.confidence)

    with single_threaded(), ThreadPoolExecutor(jobs) as pool:
        futures: list[Future[Outcome]] = [pool.submit(train, key) for key in dict.fromkeys(keys) if key not in done]
        try:
            for future in as_completed(futures):
                outcome = future.result()
                done[outcome.key] = outcome
                progress.step(label, len(done), len(first))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [done[key] for key in keys]


def arm_result(mixtures: Sequence[Mixture], outcomes: Sequence[Outcome]) -> ArmResult:
    """Puts the seeds of one arm together, in their order."""
    first = mixtures[0]
    return ArmResult(
        dose=first.dose,
        kind=first.kind,
        actual_dose=first.actual_dose,
        n_real=len(first.real),
        n_synthetic=len(first.synthetic),
        n_pool_short=first.n_pool_short,
        seeds=tuple(m.seed for m in mixtures),
        predicted=np.stack([outcome.predicted for outcome in outcomes]),
        probability=np.stack([outcome.probability for outcome in outcomes]),
    )


def _keys(mixtures: Sequence[Mixture], trainer: Trainer, trials: Sequence[Conversation]) -> list[str]:
    """Identity of each mixture's variant and trial: what it learns from, regardless of order, and how."""
    everyone = {id(c): c for mixture in mixtures for c in mixture.conversations}
    digests: Mapping[int, str] = {place: fingerprint.of_conversation(c) for place, c in everyone.items()}
    tried_on = fingerprint.of_conversations(trials)
    return [
        fingerprint.of(
            "variant",
            trainer=trainer.identity,
            seed=mixture.seed if trainer.uses_seed else None,
            weight=mixture.synthetic_weight if mixture.synthetic else None,
            real=sorted(digests[id(c)] for c in mixture.real),
            synthetic=sorted(digests[id(c)] for c in mixture.synthetic),
            trials=tried_on,
        )[:16]
        for mixture in mixtures
    ]


def _kept(folder: Path, key: str, n_trials: int) -> Outcome | None:
    """A finished variant's outcome; None if there is none or it is damaged, which means: train again."""
    try:
        with (folder / PREDICTIONS).open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
            outcome = Outcome(key, arrays["predicted"], arrays["probability"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return outcome if len(outcome.predicted) == n_trials else None
