"""Makers of arms and scores."""

import numpy as np
import pytest

from posology.evaluation.resampling import resample
from posology.records import ArmResult

TOPICS = tuple(f"topic {k}" for k in range(6))


@pytest.fixture
def topics():
    return TOPICS


@pytest.fixture
def arm_of(topics):
    """Makes an arm from where it is right, shape (S, n) or (n,); wrong answers name the next topic."""

    def make(dose, correct, truth, kind="selected", **changes):
        correct = np.atleast_2d(correct)
        predicted = np.where(correct, truth, (truth + 1) % len(topics)).astype(np.int32)
        fields = {
            "actual_dose": dose,
            "n_real": 100,
            "n_synthetic": round(100 * dose),
            "n_pool_short": 0,
            "seeds": tuple(range(len(correct))),
            "probability": np.full(correct.shape, 0.75, dtype=np.float32),
        }
        return ArmResult(dose=dose, kind=kind, predicted=predicted, **{**fields, **changes})

    return make


@pytest.fixture(scope="session")
def scores_of():
    """Makes the accuracy scores of arms from where they are right, shape (A, S, n) or (A, n)."""

    def make(correct, groups=None, truth=None, draws=1000, seed=0):
        correct = np.asarray(correct, dtype=bool)
        correct = correct[:, None] if correct.ndim == 2 else correct
        n = correct.shape[2]
        truth = np.zeros(n, dtype=int) if truth is None else truth
        tail = np.zeros(int(truth.max()) + 1, dtype=bool)
        groups = np.arange(n) if groups is None else groups
        return resample(correct, truth, groups, tail=tail, draws=draws, seed=seed)["accuracy"]

    return make


@pytest.fixture
def discordant():
    """Makes two arms of n single conversations: `gained` right in the second only, `lost` in the first only."""

    def make(n, gained, lost, both=None):
        both = (n - gained - lost) // 2 if both is None else both
        first = np.zeros(n, dtype=bool)
        second = np.zeros(n, dtype=bool)
        second[:gained] = True
        first[gained : gained + lost] = True
        first[gained + lost :][:both] = True
        second[gained + lost :][:both] = True
        return np.stack([first, second])

    return make
