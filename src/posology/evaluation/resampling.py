"""Every metric of every arm over resampled conversations and redrawn seeds.

Two things would differ if the sweep were run again. First, the conversations that happened to be held out. All arms
answer the same ones, so they are resampled once for all arms, and what is hard for one arm is hard for the others in
each draw. They are drawn by whole groups of near-duplicates; of G groups G - 1 are drawn with replacement, which makes
the variance of a mean unbiased where G draws lose a factor (G-1)/G (Efron 1982; Rao and Wu 1988).

Second, the seeds. Seed 3 of one dose shares little more than its number with seed 3 of another, so variation between
seeds is each arm's own. With two to five seeds there is little to resample (two can only be swapped), hence a normal
deviation of the estimated variance is added to each arm's draws. It is the variance of the seeds themselves: that two
variants err on different conversations is in the first part already and is subtracted here, as in two-way clustered
standard errors (Cameron, Gelbach and Miller 2011). Resampling seeds like conversations and multiplying the weights (the
pigeonhole bootstrap, Owen 2007) would count it three times, and with two seeds would still fall short for the seeds
themselves. One seed, or seeds that all say the same, add nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from posology.evaluation.metrics import Bools, Floats, Ints, item_weights, wilson

Metric = Literal["accuracy", "macro_recall", "tail_recall"]
CELLS_AT_ONCE = 2_000_000  # numbers of a weight matrix held at one time: 16 MB
PRIOR_FREEDOM = 4.0  # degrees of freedom that the other arms' variation between seeds adds to an arm's own
TINY = 1e-12  # a spread below this is rounding, not variation


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its interval.

    Attributes:
        mean: The mean over seeds.
        low: Lower end.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Variation:
    """How C contrasts of the arms would vary from sweep to sweep.

    Attributes:
        deviations: Shape (B, C), what each draw of conversations and seeds changes.
        variance: Shape (C,).
        freedom: Shape (C,): degrees of freedom with which the variance is known.
    """

    deviations: Floats
    variance: Floats
    freedom: Floats


@dataclass(frozen=True, slots=True)
class Scores:
    """One metric of A arms, as measured and over B draws.

    Attributes:
        per_seed: Shape (A, S): the metric of each variant.
        items: Shape (B, A): deviation from the mean over seeds when conversations are resampled.
        seeds: Shape (B, A): deviation when seeds are drawn anew.
        seed_variance: Shape (A,): variance of the latter.
        seed_freedom: Shape (A,): degrees of freedom with which it is known.
        influence: Shape (G, A): what each group of conversations contributes to the mean; its sum over groups.
        weights: Shape (G,): what each group counts in the metric, sums to 1.
    """

    per_seed: Floats
    items: Floats
    seeds: Floats
    seed_variance: Floats
    seed_freedom: Floats
    influence: Floats
    weights: Floats

    @property
    def mean(self) -> Floats:
        """The metric of each arm, mean over seeds, shape (A,)."""
        result: Floats = self.per_seed.mean(axis=1)
        return result

    @property
    def pseudo_variance(self) -> float:
        """Variance that two more groups of average weight would add, one for each side; 2/n^2 for single conversations.

        Where few conversations tell two arms apart, the plain variance of a difference is far too small, and 0 if there
        are none. Bonett and Price (2012) cure this by adding one discordant pair to each side.
        """
        return 2.0 * float((self.weights**2).sum()) / len(self.weights)

    @property
    def deviations(self) -> Floats:
        """What a draw of both conversations and seeds changes, shape (B, A)."""
        return self.items + self.seeds

    @property
    def covariance(self) -> Floats:
        """Covariance of the arms' means, shape (A, A); each arm carries half of the pseudo-variance."""
        deviations = self.deviations
        product: Floats = deviations.T @ deviations / max(len(deviations), 1)
        return product + np.eye(len(product)) * self.pseudo_variance / 2

    def take(self, arms: Ints) -> Scores:
        """The scores of some arms, in the order given."""
        return Scores(
            per_seed=self.per_seed[arms],
            items=self.items[:, arms],
            seeds=self.seeds[:, arms],
            seed_variance=self.seed_variance[arms],
            seed_freedom=self.seed_freedom[arms],
            influence=self.influence[:, arms],
            weights=self.weights,
        )

    def variation(self, matrix: Floats) -> Variation:
        """How linear contrasts of the arms vary, without the pseudo-variance.

        Args:
            matrix: Shape (C, A), one contrast a row.

        Returns:
            Deviations, variances and degrees of freedom of the C contrasts.
        """
        items = self.items @ matrix.T
        from_items = np.square(items).mean(axis=0) if len(items) else np.zeros(len(matrix))
        from_seeds = np.square(matrix) * self.seed_variance
        variance = from_items + from_seeds.sum(axis=1)
        # Satterthwaite (1946): a sum of variances is known about as well as its least known large part.
        enough = max(len(self.weights) - 1, 1)
        unknown = np.square(from_items) / enough + (np.square(from_seeds) / self.seed_freedom).sum(axis=1)
        freedom = np.divide(np.square(variance), unknown, out=np.full(len(matrix), np.inf), where=unknown > 0)
        return Variation(items + self.seeds @ matrix.T, variance, np.clip(freedom, 1.0, enough))

    def estimate(self, arm: int, *, level: float = 0.95) -> Estimate:
        """An arm's metric with its own (not simultaneous) interval: Wilson's, at the effective sample size.

        Args:
            arm: Position of the arm.
            level: Confidence.

        Returns:
            The metric and the interval, within [0, 1].
        """
        from scipy.stats import t

        mean = float(self.mean[arm])
        variation = self.variation(np.eye(len(self.per_seed))[arm : arm + 1])
        # No more than the groups that count at all: a few topics of one conversation each can look noiseless.
        size = float(np.count_nonzero(self.weights))
        variance = float(variation.variance[0])
        if variance > 0:
            size = min(size, max(mean * (1 - mean) / variance, 1e-9)) if 0 < mean < 1 else size
        return Estimate(mean, *wilson(mean, size, float(t.isf((1 - level) / 2, variation.freedom[0]))))


def resample(
    correct: Bools, truth: Ints, groups: Ints, *, tail: Bools, draws: int, seed: int
) -> dict[Metric, Scores | None]:
    """Scores of all metrics under the same draws.

    Args:
        correct: Shape (A, S, n).
        truth: Shape (n,), indices of K topics.
        groups: Shape (n,), any ids; conversations of one id are drawn together.
        tail: Shape (K,), True for topics with few real training examples.
        draws: B.
        seed: Of the random generators.

    Returns:
        One entry a metric; `tail_recall` is None if the holdout has no tail topic.
    """
    n_arms, n_seeds, n = correct.shape
    group = np.unique(groups, return_inverse=True)[1].reshape(n)
    n_groups = int(group.max()) + 1
    everywhere = np.ones_like(tail)
    weights: dict[Metric, Floats] = {
        "accuracy": np.full(n, 1.0 / n),
        "macro_recall": item_weights(truth, everywhere),
        "tail_recall": item_weights(truth, tail),
    }
    replicates = _replicates(correct.sum(axis=1), truth, group, tail=tail, draws=draws, seed=seed)
    normal = np.random.default_rng([seed, 1]).standard_normal((n_arms, draws)).T
    scores: dict[Metric, Scores | None] = {}
    for metric, weight in weights.items():
        influence = np.stack([[_sums(group, row * weight, n_groups) for row in arm] for arm in correct])
        variance, freedom = _between_seeds(influence)
        per_seed = correct @ weight
        replicate = replicates[metric] / n_seeds
        drawn = ~np.isnan(replicate[:, 0])  # a draw without any tail topic says nothing about tail recall
        scores[metric] = Scores(
            per_seed=per_seed,
            items=replicate[drawn] - per_seed.mean(axis=1),
            seeds=normal[drawn] * np.sqrt(variance),
            seed_variance=variance,
            seed_freedom=freedom,
            influence=influence.mean(axis=1).T,
            weights=_sums(group, weight, n_groups),
        )
    if not weights["tail_recall"].any():
        scores["tail_recall"] = None
    return scores


def _between_seeds(influence: Floats) -> tuple[Floats, Floats]:
    """Variance of each arm's mean that comes from its seeds, and its degrees of freedom.

    Two or three seeds may agree by luck, so an arm's own variance is moderated by the average of all arms (Smyth 2004).
    It is never taken smaller for that: an arm that is less stable than the others stays so.

    Args:
        influence: Shape (A, S, G): contributions of the groups of conversations to the metric of each variant.

    Returns:
        Two arrays of shape (A,); 0 for arms whose seeds do not differ.
    """
    n_arms, n_seeds, n_groups = influence.shape
    if n_seeds == 1:
        return np.zeros(n_arms), np.ones(n_arms)
    total = influence.sum(axis=2).var(axis=1, ddof=1) / n_seeds
    residual = influence - influence.mean(axis=1, keepdims=True)
    residual -= residual.mean(axis=2, keepdims=True)
    interaction = np.square(residual).sum(axis=(1, 2)) / (n_seeds * (n_seeds - 1)) * n_groups / max(n_groups - 1, 1)
    own = total - interaction
    varying = total + interaction > TINY**2  # seeds that are right equally often, elsewhere, do differ
    own_freedom = n_seeds - 1.0
    prior_freedom = min(PRIOR_FREEDOM, own_freedom * int(varying.sum()))
    prior = own[varying].mean() if varying.any() else 0.0
    moderated = (prior_freedom * prior + own_freedom * own) / (prior_freedom + own_freedom)
    variance = np.where(varying, np.maximum(np.maximum(own, moderated), 0.0), 0.0)
    return variance, np.where(own > moderated, own_freedom, own_freedom + prior_freedom)


def draw_counts(rng: np.random.Generator, n: int, draws: int) -> Floats:
    """How often each of n things is drawn in n - 1 draws with replacement; the module says why not n.

    Args:
        rng: Source of randomness.
        n: How many things; the only one of one is drawn once.
        draws: B.

    Returns:
        Shape (B, n), whole numbers.
    """
    if n == 1:
        return np.ones((draws, 1))
    flat = rng.integers(n, size=(draws, n - 1)) + np.arange(draws)[:, None] * n
    return np.bincount(flat.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)


def _sums(index: Ints, values: NDArray[Any], size: int) -> Floats:
    """Sums of `values` by index, shape (size,)."""
    return np.bincount(index, values, size).astype(np.float64, copy=False)


def chunks(draws: int, width: int) -> Iterator[int]:
    """Sizes of the portions in which `draws` rows of `width` numbers are made, so that memory stays small."""
    step = max(1, CELLS_AT_ONCE // max(width, 1))
    for start in range(0, draws, step):
        yield min(step, draws - start)


def _replicates(
    hits: Ints, truth: Ints, group: Ints, *, tail: Bools, draws: int, seed: int
) -> dict[Metric, NDArray[np.float64]]:
    """Metrics of the resampled holdout, (B, A) each, summed over seeds; a topic that a draw lacks is left out of means.

    Sums of whole numbers are exact in floats, so arms that are right on the same conversations get equal replicates.
    """
    n_groups = int(group.max()) + 1
    cells, inverse = np.unique(truth.astype(np.int64) * n_groups + group, return_inverse=True)
    topic, cell_group = cells // n_groups, cells % n_groups
    table = np.stack([_sums(inverse, row, len(cells)) for row in (*hits, np.ones(len(truth)))], axis=1)
    starts = np.flatnonzero(np.r_[True, topic[1:] != topic[:-1]])
    blocks = list(zip(starts, np.r_[starts[1:], len(cells)], strict=True))
    rng = np.random.default_rng([seed, 0])
    parts: dict[Metric, list[Floats]] = {"accuracy": [], "macro_recall": [], "tail_recall": []}
    for size in chunks(draws, len(cells)):
        weights = draw_counts(rng, n_groups, size)[:, cell_group]
        total = np.zeros((size, table.shape[1]))
        macro, rare = np.zeros_like(total), np.zeros_like(total)
        for start, stop in blocks:
            block = weights[:, start:stop] @ table[start:stop]
            total += block
            recall = block / np.maximum(block[:, -1:], 1.0)  # its last column: 1 where the topic is there, else 0
            recall[:, -1] = block[:, -1] > 0
            macro += recall
            if tail[topic[start]]:
                rare += recall
        for metric, sums in (("accuracy", total), ("macro_recall", macro), ("tail_recall", rare)):
            with np.errstate(invalid="ignore"):
                parts[metric].append(sums[:, :-1] / sums[:, -1:])  # type: ignore[index]
    return {metric: np.concatenate(rows) for metric, rows in parts.items()}
