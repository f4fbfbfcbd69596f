"""Two questions to the embeddings: can a classifier tell the window from the reference, and how far apart are they?

Both are asked of one window and of thousands of resampled ones at the price of a few matrix products, since the rows
stay the same and only the labels change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.monitor.statistics import auc

Floats = NDArray[np.float32]

COMPONENTS = 48  # directions of the reference's own spread that the classifier sees
RIDGE = 0.01  # times the number of rows, on directions of unit variance
FREQUENCIES = 256  # of the random features; each gives a cosine and a sine
NEIGHBOURS = 1000  # rows whose distances the width of the kernel is the median of
LABELLINGS = 250  # judged at a time: rows x labellings numbers are held at once


@dataclass(frozen=True, slots=True)
class Projection:
    """Directions in which the reference varies most, scaled to unit variance.

    Attributes:
        mean: Shape (d,).
        directions: Shape (d, p).
    """

    mean: Floats
    directions: Floats

    @classmethod
    def of(cls, vectors: Floats) -> Projection:
        """Principal components of n vectors, shape (n, d); fewer than `COMPONENTS` if there are not so many."""
        mean = vectors.mean(axis=0)
        centred = vectors - mean
        values, directions = np.linalg.eigh(centred.T @ centred / max(len(vectors), 1))
        kept = np.argsort(values)[::-1][:COMPONENTS]
        kept = kept[values[kept] > 1e-8]
        return cls(mean, (directions[:, kept] / np.sqrt(values[kept])).astype(np.float32))

    def of_rows(self, vectors: Floats) -> Floats:
        """Shape (n, p)."""
        return ((vectors - self.mean) @ self.directions).astype(np.float32)


def domain_auc(rows: Floats, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How well a linear classifier tells windows from the rest, each row judged by one that has not seen it.

    A classifier two-sample test (Lopez-Paz and Oquab 2017). The classifier is ridge regression on the labels, which
    gives Fisher's discriminant direction, and whose leave-one-out predictions need no second fit. Leaving a row out
    moves the mean of its own side away from it, so that two equal sides give a little less than one half.

    Args:
        rows: Shape (N, p): projections of the window and the reference together.
        inside: Shape (N, B): which rows are the window, for each of B labellings.

    Returns:
        Shape (B,): the area under the ROC curve.
    """
    design = np.column_stack([np.ones(len(rows), np.float32), rows])
    penalty = np.full(design.shape[1], RIDGE * len(rows), dtype=np.float32)
    penalty[0] = 0.0  # the intercept is free
    solve = np.linalg.solve(design.T @ design + np.diag(penalty), design.T)
    leverage = np.einsum("np,pn->n", design, solve)[:, None]
    found = []
    for start in range(0, inside.shape[1], LABELLINGS):
        labels = inside[:, start : start + LABELLINGS]
        fitted = design @ (solve @ labels.astype(np.float32))
        found.append(auc((fitted - leverage * labels) / (1 - leverage), labels))
    return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class KernelFeatures:
    """Random Fourier features of the Gaussian kernel (Rahimi and Recht 2007).

    The squared distance of two means of these features is the maximum mean discrepancy (Gretton et al. 2012) under the
    kernel that they approximate, in time linear in the number of rows. The width is the median distance between
    reference rows.

    Attributes:
        frequencies: Shape (d, f).
    """

    frequencies: Floats

    @classmethod
    def of(cls, vectors: Floats, seed: int) -> KernelFeatures:
        """Features for vectors like these, shape (n, d)."""
        rng = np.random.default_rng([seed, 1])
        some = vectors[np.sort(rng.choice(len(vectors), min(len(vectors), NEIGHBOURS), replace=False))]
        squares = np.square(some).sum(axis=1)
        distances = np.maximum(squares[:, None] + squares - 2 * some @ some.T, 0.0)
        width = float(np.sqrt(np.median(distances[np.triu_indices(len(some), 1)]))) if len(some) > 1 else 1.0
        drawn = rng.standard_normal((vectors.shape[1], FREQUENCIES)) / max(width, 1e-6)
        return cls(drawn.astype(np.float32))

    def of_rows(self, vectors: Floats) -> Floats:
        """Shape (n, 2f), rows of unit length."""
        angles = vectors @ self.frequencies
        features: Floats = np.hstack([np.cos(angles), np.sin(angles)]).astype(np.float32)
        return features / np.float32(np.sqrt(FREQUENCIES))
