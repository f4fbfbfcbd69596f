"""What the pictures show, as numbers: a map of real and synthetic texts, and distributions side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.collapse.bags import Rows
from posology.collapse.table import Table

POINTS = 400  # a side
BINS = 24
SHOWN = (("log_words", "words"), ("mood", "mood"), ("arousal", "arousal"), ("turns", "turns"))


def picture(table: Table, real: Rows, synthetic: Rows, *, seed: int = 0) -> dict[str, Any]:
    """The content of `collapse/picture.json`.

    The map is the plane in which real texts vary most (principal components of real rows alone): synthetic text that
    goes elsewhere falls together there, which the distances of the semantic indicators still see.
    """
    rng = np.random.default_rng(seed)
    real, synthetic = real[table.n_words[real] > 0], synthetic[table.n_words[synthetic] > 0]
    centre = table.vectors[real].mean(axis=0)
    axes = np.linalg.svd(table.vectors[_some(real, rng, 4 * POINTS)] - centre, full_matrices=False)[2][:2]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    places = {
        name: ((table.vectors[_some(rows, rng, POINTS)] - centre) @ axes.T).round(4).tolist()
        for name, rows in (("real", real), ("synthetic", synthetic))
    }
    shown = [(name, title) for name, title in SHOWN if np.ptp(table.feature(name)[np.r_[real, synthetic]]) > 0]
    return {
        "map": places,
        "distributions": [_distribution(table.feature(name), title, real, synthetic) for name, title in shown],
    }


def _some(rows: Rows, rng: np.random.Generator, most: int) -> Rows:
    return rows if len(rows) <= most else rng.choice(rows, most, replace=False)


def _distribution(values: NDArray[np.float64], title: str, real: Rows, synthetic: Rows) -> dict[str, Any]:
    both = values[np.r_[real, synthetic]]
    low, high = np.quantile(both, [0.002, 0.998])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    if title == "turns":
        edges = np.arange(both.min() - 0.5, min(both.max(), both.min() + BINS) + 1)
    shares = [
        np.histogram(np.clip(values[rows], edges[0], edges[-1]), edges)[0] / len(rows) for rows in (real, synthetic)
    ]
    label = np.expm1(edges) if title == "words" else edges
    return {
        "name": title,
        "edges": label.round(4).tolist(),
        "real": shares[0].round(5).tolist(),
        "synthetic": shares[1].round(5).tolist(),
    }
