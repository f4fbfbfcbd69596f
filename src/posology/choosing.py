"""What real training data says of a pool: how much of it to keep, what it weighs, which strategy pays.

Everything is tried on folds of real training data, so that the holdout stays unspent. A generator was shown real
examples, and what it wrote from them would flatter the pool on those very rows. So a candidate takes no part in a fold
that holds a real row out which it was written from, as its provenance says, or, where that says nothing, the row of its
topic that it is nearest to. (With a small model that continues lists of real examples, all of its rows seemed to be
worth 5 points before that, and to cost 0.3 after; on the holdout they cost 0.5.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.linear import folds_by_topic
from posology.mixture.arms import counts
from posology.progress import Progress
from posology.ranking import Ranking
from posology.records import Conversation, Mixture
from posology.selection.choice import STRATEGIES, Candidates, Real, Strategy
from posology.threads import single_threaded
from posology.training.contract import Trainer
from posology.verification.likeness import real_likeness

FOLDS, REPEATS = 5, 2
FEWEST_REAL = 50
KEEP_RATES = (0.25, 0.5, 0.75, 1.0)
WEIGHTS = (0.2, 0.4, 1.0)
KEEP_RATE, WEIGHT = 1.0, 0.4  # unless folds of real data prove another one better


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing to try: a strategy, a keep rate, a dose (None: all that is kept), a weight and a seed."""

    strategy: Strategy = "coverage"
    keep_rate: float = 1.0
    dose: float | None = None
    weight: float = WEIGHT
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Fold:
    """Real rows to train on and to judge, and what of the pool has seen none of the latter."""

    train: NDArray[np.int64]
    judged: NDArray[np.int64]
    usable: NDArray[np.int64]
    candidates: Candidates
    real: Real
    ranking: Ranking


class RealFolds:
    """Tries pools on cross-validated real training data.

    Args:
        pool: Candidates.
        candidates: What selection knows of them.
        train: Real training conversations.
        vectors: Their vectors, shape (n, d).
        ranking: Whose turn it is, with all of the training data.
        trainer: A prepared trainer.
        jobs: Trainings at a time.
        progress: Told what happens.
        seed: Of the folds.
    """

    def __init__(
        self,
        pool: Sequence[Conversation],
        candidates: Candidates,
        train: Sequence[Conversation],
        vectors: NDArray[np.float32],
        *,
        ranking: Ranking,
        trainer: Trainer,
        jobs: int,
        progress: Progress,
        seed: int = 0,
    ) -> None:
        self._pool, self._train, self._trainer = pool, train, trainer
        self._jobs, self._progress = jobs, progress
        self._known: dict[Trial, list[tuple[float, float]]] = {}
        labels = np.array([c.label for c in train])
        sources = written_from(pool, candidates, train, vectors)
        self._folds = [
            self._fold(fold == held_out, labels, sources, candidates, vectors, ranking)
            for repeat in range(REPEATS)
            for fold in [folds_by_topic(labels, FOLDS, seed=seed + repeat)]
            for held_out in range(FOLDS)
        ]

    def scores(self, trials: Sequence[Trial], label: str) -> NDArray[np.float64]:
        """Accuracy and macro recall of each trial in each fold, shape (trials, folds, 2); no trial is made twice."""
        tasks = [(trial, place) for trial in trials if trial not in self._known for place in range(len(self._folds))]
        with single_threaded(), ThreadPoolExecutor(self._jobs) as threads:
            found = threads.map(lambda task: self._score(task[0], self._folds[task[1]]), tasks)
            for done, ((trial, _), score) in enumerate(zip(tasks, found, strict=True), 1):
                self._known.setdefault(trial, []).append(score)
                self._progress.step(label, done, len(tasks))
        return np.array([self._known[trial] for trial in trials])

    def real_only(self) -> NDArray[np.float64]:
        """The same for real data alone, shape (folds, 2)."""
        scores: NDArray[np.float64] = self.scores([Trial(dose=0.0)], "real data alone")[0]
        return scores

    def _fold(
        self,
        held_out: NDArray[np.bool_],
        labels: NDArray[np.str_],
        sources: Sequence[NDArray[np.int64]],
        candidates: Candidates,
        vectors: NDArray[np.float32],
        ranking: Ranking,
    ) -> _Fold:
        train = np.flatnonzero(~held_out)
        usable = np.array([row for row, seen in enumerate(sources) if not held_out[seen].any()], dtype=np.int64)
        part = candidates.part(usable)
        taught = {*labels[train].tolist(), *part.topics}
        sizes = dict(zip(*np.unique(labels[train], return_counts=True), strict=True))
        return _Fold(
            train,
            np.array([row for row in np.flatnonzero(held_out) if labels[row] in taught], dtype=np.int64),
            usable,
            replace(part, likeness=real_likeness(vectors[train], part.vectors)),
            Real(labels[train].tolist(), vectors[train]),
            replace(
                ranking,
                stats=[replace(s, n_real=int(sizes.get(s.topic, 0))) for s in ranking.stats],
                n_real=len(train),
            ),
        )

    def _score(self, trial: Trial, fold: _Fold) -> tuple[float, float]:
        rows = np.empty(0, dtype=np.int64)
        if trial.dose != 0 and len(fold.usable):
            choice = fold.ranking.choose(
                fold.candidates, fold.real, strategy=trial.strategy, keep_rate=trial.keep_rate, seed=trial.seed
            )
            n = len(choice.order)
            if trial.dose is not None:
                n = counts(trial.dose, len(fold.train), n, "augment")[1]
            rows = fold.usable[choice.order[:n]]
        mixture = Mixture(
            trial.dose or 0.0,
            "selected",
            "augment",
            trial.seed,
            tuple(self._train[row] for row in fold.train.tolist()),
            tuple(self._pool[row] for row in rows.tolist()),
            synthetic_weight=trial.weight,
        )
        judged = [self._train[row] for row in fold.judged.tolist()]
        told = self._trainer.fit(mixture).predict([replace(c, topic=None) for c in judged]).best
        truth = np.array([c.label for c in judged])
        right = np.array(told) == truth
        return float(right.mean()), float(np.mean([right[truth == topic].mean() for topic in np.unique(truth)]))


def written_from(
    pool: Sequence[Conversation], candidates: Candidates, train: Sequence[Conversation], vectors: NDArray[np.float32]
) -> list[NDArray[np.int64]]:
    """Which real rows each candidate was written from: by `examples` in its `meta`, or the nearest one of its topic."""
    places = {c.id: place for place, c in enumerate(train)}
    labels = np.array([c.label for c in train])
    found: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)] * len(pool)
    silent: dict[str, list[int]] = {}
    for row, candidate in enumerate(pool):
        named = candidate.meta.get("examples")
        shown = named if isinstance(named, list | tuple) else ()
        if known := [places[name] for name in shown if isinstance(name, str) and name in places]:
            found[row] = np.array(known, dtype=np.int64)
        else:
            silent.setdefault(candidate.label, []).append(row)
    for topic, rows in silent.items():
        real = np.flatnonzero(labels == topic)
        if len(real):
            near = real[(candidates.vectors[rows] @ vectors[real].T).argmax(axis=1)]
            for row, place in zip(rows, near, strict=True):
                found[row] = np.array([place], dtype=np.int64)
    return found


@dataclass(frozen=True, slots=True)
class Learned:
    """A value that real training folds chose.

    Attributes:
        value: The value.
        reason: Why, in words.
        tried: Mean of accuracy and macro recall by value tried; empty if nothing was.
    """

    value: float
    reason: str
    tried: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {"value": self.value, "reason": self.reason, "tried": self.tried}


def given(value: float) -> Learned:
    """A value that the settings name."""
    return Learned(value, "as the settings say", {})


def learned_keep_rate(folds: RealFolds, quality: NDArray[np.float64], strategy: Strategy = "coverage") -> Learned:
    """The share of the candidates to keep, best first: all of them, unless another share proves better.

    More right candidates are worth having, since the order puts the least of them last; so all must be shown to lose
    before some are thrown away.
    """
    if not len(quality) or np.ptp(quality) == 0:
        return Learned(KEEP_RATE, "nothing tells good candidates from bad ones", {})
    return _proven(folds, {rate: Trial(strategy, rate) for rate in KEEP_RATES}, "keep rate", usual=KEEP_RATE)


def learned_weight(folds: RealFolds, strategy: Strategy, keep_rate: float) -> Learned:
    """The weight of a synthetic example: `WEIGHT`, unless another one proves better."""
    trials = {weight: Trial(strategy, keep_rate, weight=weight) for weight in WEIGHTS}
    return _proven(folds, trials, "weight", usual=WEIGHT)


def _proven(folds: RealFolds, trials: Mapping[float, Trial], label: str, *, usual: float) -> Learned:
    """The best of some values if it is more than one standard error better than the usual one, else the usual one."""
    scores = dict(zip(trials, folds.scores(list(trials.values()), label).mean(axis=2), strict=True))
    best = max(scores, key=lambda value: float(scores[value].mean()))
    gains = scores[best] - scores[usual]
    tried = {f"{value:g}": round(float(mine.mean()), 6) for value, mine in scores.items()}
    if gains.mean() > _error(gains):
        return Learned(best, f"more than one standard error better than {usual:g} on real training folds", tried)
    return Learned(usual, "the default: none is more than one standard error better on real training folds", tried)


def _error(differences: NDArray[np.float64]) -> float:
    """Standard error of the mean of paired differences, one a fold.

    Folds share training rows, so the spread over folds understates it: corrected after Nadeau and Bengio, "Inference
    for the Generalization Error" (2003).
    """
    return float(differences.std(ddof=1) * np.sqrt(1 / len(differences) + 1 / (FOLDS - 1)))


def compared(
    folds: RealFolds, doses: Sequence[float], *, keep_rate: float, weight: float, seeds: int = 3
) -> list[dict[str, Any]]:
    """What each strategy gives at each dose, beside real data alone and a random pick of the same size.

    Args:
        folds: Real training folds.
        doses: Doses above 0.
        keep_rate: Of `coverage` and `top`.
        weight: Of a synthetic example.
        seeds: Draws of `random`, whose mean is shown.

    Returns:
        Rows of a table: accuracy, macro recall, and the difference of their mean to real data alone and to `random`,
        each with its standard error.
    """
    trials = [
        Trial(strategy, keep_rate if strategy in ("coverage", "top") else 1.0, dose, weight, seed)
        for strategy in STRATEGIES
        for dose in doses
        for seed in range(seeds if strategy == "random" else 1)
    ]
    found: dict[tuple[str, float], list[NDArray[np.float64]]] = {}
    for trial, scores in zip(trials, folds.scores(trials, "strategies"), strict=True):
        found.setdefault((trial.strategy, trial.dose or 0.0), []).append(scores)
    table = {place: np.mean(scores, axis=0) for place, scores in found.items()}
    base = folds.real_only()
    rows = [_row("real only", 0.0, base, base, None)]
    return rows + [
        _row(name, dose, scores, base, None if name == "random" else table["random", dose])
        for (name, dose), scores in sorted(table.items(), key=lambda item: item[0][1])
    ]


def _row(
    strategy: str,
    dose: float,
    scores: NDArray[np.float64],
    base: NDArray[np.float64],
    random: NDArray[np.float64] | None,
) -> dict[str, Any]:
    def against(other: NDArray[np.float64] | None) -> dict[str, float] | None:
        if other is None:
            return None
        difference = (scores - other).mean(axis=1)
        return {"mean": round(float(difference.mean()), 6), "error": round(_error(difference), 6)}

    accuracy, macro = scores.mean(axis=0)
    return {
        "strategy": strategy,
        "dose": dose,
        "accuracy": round(float(accuracy), 6),
        "macro_recall": round(float(macro), 6),
        "vs_real_only": None if strategy == "real only" else against(base),
        "vs_random": against(random),
    }
