"""What is looked at in a window of traffic, and the same for thousands of resampled windows at once.

Each conversation becomes a row of features: which topic, which mood, at or below which length, and so on. All checks
but two are functions of the column sums over a window, so that B resampled windows cost one sparse product. The domain
classifier and the clusters have fast forms of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.monitor import statistics as st
from posology.monitor.shift import KernelFeatures, Projection, domain_auc
from posology.monitor.windows import Flags, Floats, Window

LENGTH_CUTS = 24  # quantiles of the reference at which lengths are compared
UNSEEN = 0.5  # events that the reference might have shown beside those it did (Jeffreys): rare is not impossible
LEAST_SPREAD = 0.05  # of a sign: one that nobody shows varies as if 1 of 400 did, so that two rows are no alarm yet
UNSURE = 0.1  # the share of the reference with the lowest confidence; below its highest a message counts as unsure
DRAWS_AT_ONCE = 500

#: How much of the false-alarm budget each check gets. In 200 conversations some faults are hard to see, such as a topic
#: that doubles; others, such as messages from another trade, show in several checks and at any threshold.
WEIGHTS: Mapping[str, float] = {
    "topic_share": 8.0,
    "mood": 4.0,
    "topic_psi": 0.25,
    "topic_chi2": 1.0,
    "length": 0.5,
    "mess": 0.5,
    "language": 0.25,
    "malformed": 0.25,
    "low_confidence": 0.5,
    "far_from_training": 0.5,
    "new_cluster": 0.5,
    "embedding_auc": 0.5,
    "embedding_mmd": 1.0,
}

#: Roles of a sound conversation in order: instructions first, then a customer, then whoever may speak.
ROLES = r"^((system|developer) )*user( (user|assistant|tool|function))*$"

#: The checks of a window and what each measures, in the order of the result.
MEANING: Mapping[str, str] = {
    "topic_psi": "predicted topics, population stability index",
    "topic_chi2": "predicted topics, two-sample chi-square",
    "topic_share": "the topic whose share grew most, in standard errors",
    "length": "words a conversation, Kolmogorov-Smirnov distance",
    "mess": "the sign of messy writing whose mean changed most, in standard errors",
    "mood": "the sign of mood whose mean changed most, in standard errors",
    "language": "share of conversations in an unusual language",
    "malformed": "share of rows without text, with odd turns, or overlong",
    "low_confidence": "share of conversations that the model is unsure of",
    "far_from_training": "share of conversations that no training example is near",
    "new_cluster": "conversations in the largest cluster that no training example is near",
    "embedding_auc": "how well a classifier tells the window from the reference, area under ROC",
    "embedding_mmd": "maximum mean discrepancy of the embeddings",
}
NAMES: tuple[str, ...] = tuple(MEANING)
#: Those that say nothing of a training set, which is near to itself and which its model is sure of.
OF_THE_MODEL = frozenset({"low_confidence", "far_from_training", "new_cluster"})


@dataclass(frozen=True, slots=True)
class Norms:
    """What is usual, learned from training data and not from the reference, which is judged by it too.

    Attributes:
        near: The cosine from where on a conversation counts as near to a training example.
        languages: Codes of the languages that customers write in.
        most_words: Words beyond which a conversation is overlong.
    """

    near: float
    languages: tuple[str, ...]
    most_words: int


@dataclass(frozen=True, slots=True)
class _Part:
    """The columns of one kind of feature."""

    name: str
    names: tuple[str, ...]
    columns: slice


class Reference:
    """Reference traffic, and everything that is learned from it to judge a window.

    Args:
        window: The reference conversations.
        norms: What is usual.
        seed: Of the random features of the kernel.
    """

    def __init__(self, window: Window, norms: Norms, *, seed: int = 0) -> None:
        self.window, self.norms = window, norms
        self.topics = tuple(np.unique(window.topics).tolist())
        self.signs = {kind: tuple(sorted(getattr(window, kind))) for kind in ("mood", "mess")}
        self.cuts = np.unique(np.quantile(window.words, np.linspace(0, 1, LENGTH_CUTS + 2)[1:-1], method="lower"))
        self.unsure_below = float(np.quantile(window.confidence, UNSURE))
        self._projection = Projection.of(window.vectors)
        self._kernel = KernelFeatures.of(window.vectors, seed)
        self._parts = self._layout()
        self._features = self._features_of(window)
        self._spread = {
            part.name: np.maximum(self._features[:, part.columns].std(axis=0, dtype=np.float64), LEAST_SPREAD)
            for part in self._parts
            if part.name in self.signs
        }
        self._projected = self._projection.of_rows(window.vectors)

    def __len__(self) -> int:
        return len(self.window)

    def measure(self, window: Window) -> dict[str, float]:
        """The value of every check for one window."""
        sums = self._features_of(window).sum(axis=0, dtype=np.float64)[None]
        values = self._from_sums(sums, self._features.sum(axis=0, dtype=np.float64)[None], len(window), len(self))
        rows = np.vstack([self._projection.of_rows(window.vectors), self._projected])
        inside = (np.arange(len(rows)) < len(window))[:, None]
        values["embedding_auc"] = domain_auc(rows, inside)
        far = window.vectors[self.is_far(window)]
        values["new_cluster"] = _largest_star(far @ far.T >= self.norms.near, np.ones((len(far), 1), dtype=bool))
        return {name: float(values[name][0]) for name in NAMES}

    def resample(self, size: int, draws: int, seed: int) -> NDArray[np.float64]:
        """The same for windows of `size` drawn from the reference, each compared with the rest of it.

        Returns:
            Shape (draws, checks), columns in the order of `NAMES`.
        """
        if not 0 < size < len(self):
            raise ValueError(f"a window of {size} cannot be drawn from {len(self)} conversations")
        total = self._features.sum(axis=0, dtype=np.float64)
        rng = np.random.default_rng([seed, size])
        far = np.flatnonzero(self.is_far(self.window))
        near = self.window.vectors[far] @ self.window.vectors[far].T >= self.norms.near
        found = []
        for inside in _drawn(len(self), size, draws, rng):
            sums = self._sums(inside)
            values = self._from_sums(sums, total - sums, size, len(self) - size)
            values |= self._rates(sums, total, size, rng)
            values["embedding_auc"] = domain_auc(self._projected, inside)
            values["new_cluster"] = _largest_star(near, inside[far])
            found.append(np.column_stack([values[name] for name in NAMES]))
        return np.vstack(found)

    def is_far(self, window: Window) -> Flags:
        """Which conversations have text and no training example near, shape (n,)."""
        result: Flags = (window.similarity < self.norms.near) & (window.words > 0)
        return result

    def is_malformed(self, window: Window) -> Flags:
        """Which rows have no text, odd turns, or overlong text, shape (n,)."""
        result: Flags = ~window.layout | (window.words == 0) | (window.words > self.norms.most_words)
        return result

    def is_foreign(self, window: Window) -> Flags:
        """Which conversations are in an unusual language, shape (n,)."""
        result: Flags = ~np.isin(window.language, [*self.norms.languages, ""])
        return result

    def changes(self, window: Window, kind: str) -> dict[str, float]:
        """The change of each topic, or of each sign of `mood` or `mess`, in standard errors, by its name."""
        part = next(part for part in self._parts if part.name == kind)
        now, before = (
            features[:, part.columns].sum(axis=0, dtype=np.float64)
            for features in (self._features_of(window), self._features)
        )
        n, m = len(window), len(self)
        spread = self._spread.get(kind)
        moved = st.changes(now, before, n, m) if spread is None else st.shifts(now, before, n, m, spread)
        return dict(zip(part.names, moved.tolist(), strict=True))

    # -- features ------------------------------------------------------------------------------------------------------

    def _layout(self) -> tuple[_Part, ...]:
        kinds = {
            "topic": (*self.topics, "other"),
            **self.signs,
            "length": tuple(str(cut) for cut in self.cuts),
            "rate": ("language", "malformed", "low_confidence", "far_from_training"),
            "kernel": tuple(str(i) for i in range(2 * self._kernel.frequencies.shape[1])),
        }
        parts, start = [], 0
        for kind, names in kinds.items():
            parts.append(_Part(kind, names, slice(start, start + len(names))))
            start += len(names)
        return tuple(parts)

    def _features_of(self, window: Window) -> Floats:
        """Shape (n, m): the columns of `_parts`."""
        rates = (
            self.is_foreign(window),
            self.is_malformed(window),
            window.confidence < self.unsure_below,
            self.is_far(window),
        )
        blocks = {
            "topic": _one_hot(window.topics, self.topics),
            "mood": _columns(window.mood, self.signs["mood"], len(window)),
            "mess": _columns(window.mess, self.signs["mess"], len(window)),
            "length": window.words[:, None] <= self.cuts,
            "rate": np.column_stack(rates),
            "kernel": self._kernel.of_rows(window.vectors),
        }
        return np.hstack([np.asarray(blocks[part.name], dtype=np.float32) for part in self._parts])

    def _sums(self, inside: Flags) -> NDArray[np.float64]:
        """Column sums over each of B windows, shape (B, m)."""
        from scipy.sparse import csr_matrix

        sums: NDArray[np.float64] = (csr_matrix(inside.T, dtype=np.float32) @ self._features).astype(np.float64)
        return sums

    def _rates(
        self, sums: NDArray[np.float64], total: NDArray[np.float64], size: int, rng: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        """The rates of resampled windows, each shape (B,), spread as those of fresh windows are.

        A window that is drawn from the reference shares its rows and so strays less from it than a fresh one does; its
        distance from the rest of the reference strays just as much.
        """
        part = next(part for part in self._parts if part.name == "rate")
        inside, overall = sums[:, part.columns], total[part.columns]
        rates = inside / size - (overall - inside) / (len(self) - size) + overall / len(self)
        unseen = rng.poisson(UNSEEN * size / len(self), rates.shape) / size
        return dict(zip(part.names, (rates + unseen).T, strict=True))

    def _from_sums(
        self, window: NDArray[np.float64], reference: NDArray[np.float64], n: int, m: int
    ) -> dict[str, NDArray[np.float64]]:
        """The checks that column sums decide, each shape (B,)."""
        pairs = {part.name: (window[:, part.columns], reference[:, part.columns]) for part in self._parts}
        rates = next(part for part in self._parts if part.name == "rate")
        kernel = pairs["kernel"][0] / n - pairs["kernel"][1] / m
        values = {
            "topic_psi": st.psi(*pairs["topic"]),
            "topic_chi2": st.chi_square(*pairs["topic"]),
            "topic_share": st.largest_growth(*pairs["topic"], n, m),
            "length": st.largest_step(*pairs["length"], n, m),
            "mood": st.largest_shift(*pairs["mood"], n, m, self._spread["mood"]),
            "mess": st.largest_shift(*pairs["mess"], n, m, self._spread["mess"]),
            "embedding_mmd": np.square(kernel).sum(axis=1),
        }
        return values | dict(zip(rates.names, (pairs["rate"][0] / n).T, strict=True))


def _one_hot(values: NDArray[np.str_], names: tuple[str, ...]) -> Flags:
    """Shape (n, len(names) + 1): the last column is for values without a name."""
    known = values[:, None] == np.array(names, dtype=np.str_)
    result: Flags = np.column_stack([known, ~known.any(axis=1)])
    return result


def _columns(signs: Mapping[str, Floats], names: tuple[str, ...], n: int) -> Floats:
    return np.column_stack([signs[name] for name in names]) if names else np.empty((n, 0), np.float32)


def _drawn(n: int, size: int, draws: int, rng: np.random.Generator) -> Iterator[Flags]:
    """Which of n rows are in each window, shape (n, at most `DRAWS_AT_ONCE`) at a time."""
    for start in range(0, draws, DRAWS_AT_ONCE):
        inside = np.zeros((n, min(DRAWS_AT_ONCE, draws - start)), dtype=np.bool_)
        for column in inside.T:
            column[rng.choice(n, size, replace=False)] = True
        yield inside


def _largest_star(near: Flags, inside: Flags) -> NDArray[np.float64]:
    """The most rows of a window that are near to one of them, itself included.

    Args:
        near: Shape (f, f): which far rows are near to each other.
        inside: Shape (f, B): which of them are in each window.

    Returns:
        Shape (B,); 0 where a window has no far row.
    """
    if not len(near):
        return np.zeros(inside.shape[1])
    members = inside.astype(np.float32)
    degrees = np.where(inside, near.astype(np.float32) @ members, 0.0)
    result: NDArray[np.float64] = degrees.max(axis=0).astype(np.float64)
    return result
