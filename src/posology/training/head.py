"""The default trainer: multinomial logistic regression on frozen embeddings.

Class-balanced (each topic weighs the same in the loss, whatever its number of examples), the L2 penalty chosen once by
cross-validation on real training data. It trains in about a second, so that a whole sweep with controls and seeds takes
a minute, and on few examples it is hard to beat (Tunstall et al., "Efficient Few-Shot Learning Without Prompts", 2022).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from posology.embedding.embedder import Embedder
from posology.errors import TrainingError
from posology.linear import fit_balanced, folds_by_topic
from posology.records import Conversation, Mixture, Predictions
from posology.store import read_json, write_json, writing
from posology.threads import single_threaded

GRID = (1.0, 3.0, 10.0, 30.0)
FOLDS = 5
REPEATS = 2
TEMPERATURES = tuple(np.geomspace(0.05, 5, 93).tolist())


@dataclass(frozen=True, slots=True)
class HeadVariant:
    """A trained head.

    Attributes:
        topics: K labels.
        coefficients: Shape (K, d).
        intercepts: Shape (K,).
        embedder: What turns conversations into vectors of length d.
    """

    topics: tuple[str, ...]
    coefficients: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    embedder: Embedder

    def predict(self, conversations: Sequence[Conversation]) -> Predictions:
        """Softmax over the topics; shape (n, K)."""
        return Predictions(self.topics, _softmax(self.embedder.encode(conversations), self))

    def save(self, folder: Path) -> None:
        """Writes `head.npz` (arrays only, no pickle) and `variant.json`."""
        with writing(folder / "head.npz", binary=True) as handle:
            np.savez(handle, coefficients=self.coefficients, intercepts=self.intercepts)
        write_json(
            folder / "variant.json",
            {
                "schema_version": 1,
                "trainer": "head",
                "encoder": self.embedder.encoder.identity,
                "text_rule": self.embedder.rule.identity,
                "topics": list(self.topics),
            },
        )


def _softmax(vectors: NDArray[np.float32], head: HeadVariant) -> NDArray[np.float32]:
    scores = vectors @ head.coefficients.T + head.intercepts
    scores -= scores.max(axis=1, keepdims=True)
    exponentials = np.exp(scores)
    result: NDArray[np.float32] = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What `prepare` learned from real training data.

    Attributes:
        strength: The chosen inverse penalty C.
        temperature: What held-out scores are divided by to give honest probabilities.
        scores: Mean of accuracy and macro recall, by C.
        predicted: Cross-validated topic of each real conversation; None where it is the only one of its topic.
        accuracy: Share of right ones among all.
    """

    strength: float
    temperature: float
    scores: dict[float, float]
    predicted: tuple[str | None, ...]
    accuracy: float

    def to_json(self) -> dict[str, Any]:
        """For keeping; `from_json` reads it."""
        return {
            "C": self.strength,
            "temperature": self.temperature,
            "scores": {f"{strength:g}": score for strength, score in self.scores.items()},
            "accuracy": self.accuracy,
            "predicted": list(self.predicted),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> CrossValidation:
        """What `to_json` wrote."""
        scores = {float(strength): score for strength, score in kept["scores"].items()}
        return cls(kept["C"], kept["temperature"], scores, tuple(kept["predicted"]), kept["accuracy"])


class HeadTrainer:
    """Trains heads on the vectors of one embedder.

    Args:
        embedder: Text to vectors, cached: every text is embedded once for all arms.
        jobs: Threads used by `prepare`.
    """

    uses_seed = False

    def __init__(self, embedder: Embedder, jobs: int = 1) -> None:
        self.embedder = embedder
        self.jobs = jobs
        self.strength = 10.0
        self.temperature = 1.0
        self.cross_validation: CrossValidation | None = None

    @property
    def identity(self) -> str:
        """Encoder, text rule, penalty and temperature."""
        return f"head/1 C={self.strength:g} T={self.temperature:g} balanced {self.embedder.identity}"

    def prepare(self, real: Sequence[Conversation]) -> None:
        """Chooses C by repeated cross-validation on real training data.

        The score of a fold is the mean of accuracy and macro recall, since frequent and rare topics both matter and the
        mix of the holdout is not to be looked at. The C with the best mean is taken: the smallest within one standard
        error of it, as trees are pruned, is too small once examples are added (with topics thinned to five real ones
        or fewer, that lost 0.8 points at dose 0.3). Then one temperature is fitted to the held-out scores, so that
        probabilities mean what they say (Guo et al., "On Calibration of Modern Neural Networks", 2017); it changes no
        prediction.

        Args:
            real: Real training conversations, at least two topics.
        """
        vectors = self.embedder.encode(real)
        labels = np.array([c.label for c in real])
        topics, codes = np.unique(labels, return_inverse=True)
        folds = [folds_by_topic(labels, FOLDS, seed=repeat) for repeat in range(REPEATS)]
        tasks = [(strength, repeat) for strength in GRID for repeat in range(REPEATS)]
        with single_threaded(), ThreadPoolExecutor(self.jobs) as pool:
            answers = pool.map(lambda task: _held_out(vectors, codes, folds[task[1]], task[0]).argmax(axis=1), tasks)
            predicted = {task: topics[best] for task, best in zip(tasks, answers, strict=True)}
        scores = {
            strength: np.concatenate([_fold_scores(predicted[strength, r], labels, folds[r]) for r in range(REPEATS)])
            for strength in GRID
        }
        self.strength = max(GRID, key=lambda strength: float(scores[strength].mean()))
        with single_threaded():
            self.temperature = _temperature(_held_out(vectors, codes, folds[0], self.strength), codes)
        sizes = Counter(labels.tolist())
        told = predicted[self.strength, 0].tolist()
        self.cross_validation = CrossValidation(
            strength=self.strength,
            temperature=self.temperature,
            scores={strength: float(values.mean()) for strength, values in scores.items()},
            predicted=tuple(p if sizes[t] > 1 else None for p, t in zip(told, labels.tolist(), strict=True)),
            accuracy=float((predicted[self.strength, 0] == labels).mean()),
        )

    def restore(self, found: CrossValidation) -> None:
        """Takes up what an earlier `prepare` on the same data found."""
        self.cross_validation, self.strength, self.temperature = found, found.strength, found.temperature

    def fit(self, mixture: Mixture) -> HeadVariant:
        """Trains on a mixture.

        Raises:
            TrainingError: The mixture is empty.
        """
        conversations = mixture.conversations
        if not conversations:
            raise TrainingError(
                f"dose {mixture.dose:g} leaves nothing to train on: the pool is empty.",
                remedy="Give a pool with --synthetic, or leave dose 1 out of --doses.",
            )
        labels = np.array([c.label for c in conversations])
        vectors = self.embedder.encode(conversations)
        head = fit_balanced(vectors, labels, np.array(mixture.weights), self.strength)
        cool = np.float32(1 / self.temperature)
        return HeadVariant(tuple(head.labels.tolist()), head.coefficients * cool, head.intercepts * cool, self.embedder)

    def load(self, folder: Path) -> HeadVariant:
        """Reads a variant written by `HeadVariant.save`.

        Raises:
            TrainingError: It was trained on vectors of another encoder, or is damaged.
        """
        facts = read_json(folder / "variant.json")
        trained, given = facts.get("encoder"), self.embedder.encoder.identity
        if trained != given:
            raise TrainingError(
                f"{folder} was trained with the encoder {trained!r}, not {given!r}.",
                remedy="Give the same --encoder as in the sweep.",
            )
        try:
            with (folder / "head.npz").open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
                return HeadVariant(tuple(facts["topics"]), arrays["coefficients"], arrays["intercepts"], self.embedder)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise TrainingError(f"{folder} is damaged.", remedy="Delete it and run the sweep again.") from error


def _held_out(
    vectors: NDArray[np.float32], codes: NDArray[np.int_], folds: NDArray[np.int_], strength: float
) -> NDArray[np.float32]:
    """Scores of every row by a head that has not seen it, shape (n, K); -inf for a topic that the head did not see."""
    scores = np.full((len(codes), codes.max() + 1), -np.inf, dtype=np.float32)
    for held_out in np.unique(folds):
        train, test = folds != held_out, folds == held_out
        head = fit_balanced(vectors[train], codes[train], np.ones(train.sum()), strength)
        scores[np.ix_(test, head.labels)] = head.scores(vectors[test])
    return scores


def _temperature(scores: NDArray[np.float32], codes: NDArray[np.int_]) -> float:
    """The temperature under which held-out scores have the least log loss; 1 if no row can be judged."""
    judged = np.isfinite(scores[np.arange(len(codes)), codes])
    if not judged.any():
        return 1.0

    def loss(temperature: float) -> float:
        scaled = scores[judged].astype(np.float64) / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        right = scaled[np.arange(len(scaled)), codes[judged]]
        return float((np.log(np.exp(scaled).sum(axis=1)) - right).mean())

    return round(float(min(TEMPERATURES, key=loss)), 6)


def _fold_scores(predicted: NDArray[np.str_], labels: NDArray[np.str_], folds: NDArray[np.int_]) -> NDArray[np.float64]:
    """Mean of accuracy and macro recall in each fold that has rows."""
    scores = []
    for fold in np.unique(folds):
        truth, right = labels[folds == fold], (predicted == labels)[folds == fold]
        macro = np.mean([right[truth == topic].mean() for topic in np.unique(truth)])
        scores.append((right.mean() + macro) / 2)
    return np.array(scores)
