"""What folds of real data decide: the usual value stays unless another one is better beyond the error of the folds."""

import numpy as np
import pytest

from posology.choosing import (
    KEEP_RATE,
    KEEP_RATES,
    WEIGHT,
    WEIGHTS,
    Trial,
    learned_keep_rate,
    learned_weight,
    written_from,
)
from posology.records import Conversation, Message
from posology.selection.choice import Candidates


class Folds:
    """Scores by keep rate and weight, the same spread in every trial."""

    def __init__(self, gains, spread):
        self._gains, self._spread = gains, spread
        self.asked = []

    def scores(self, trials, label):
        self.asked.append((label, list(trials)))
        noise = np.random.default_rng(0).normal(0, self._spread, (len(trials), 10))
        base = np.array([[0.8 + self._gains(trial)] for trial in trials])
        return np.repeat((base + noise)[:, :, None], 2, axis=2)


QUALITY = np.linspace(0.1, 0.9, 20)


def test_all_are_kept_where_nothing_is_better():
    learned = learned_keep_rate(Folds(lambda trial: 0.0, 0.01), QUALITY)
    assert learned.value == KEEP_RATE
    assert "default" in learned.reason
    assert set(learned.tried) == {f"{rate:g}" for rate in KEEP_RATES}


def test_a_share_that_is_clearly_better_is_kept():
    learned = learned_keep_rate(Folds(lambda trial: 0.02 if trial.keep_rate == 0.5 else 0.0, 0.002), QUALITY)
    assert learned.value == 0.5
    assert "better than 1" in learned.reason


@pytest.mark.parametrize(("gain", "value"), [(0.0045, KEEP_RATE), (0.009, 0.5)])
def test_the_error_is_that_of_folds_that_share_rows(gain, value):
    """Differences spread by 0.01: a naive error of 0.0032 over ten folds, a corrected one of 0.0059."""

    class Paired(Folds):
        def scores(self, trials, label):
            swing = np.tile([0.01, -0.01], 5) * np.sqrt(9 / 10)
            rows = [0.8 + (gain + swing if trial.keep_rate == 0.5 else np.zeros(10)) for trial in trials]
            return np.repeat(np.array(rows)[:, :, None], 2, axis=2)

    assert learned_keep_rate(Paired(None, 0), QUALITY).value == value


def test_without_any_difference_of_quality_nothing_is_tried():
    folds = Folds(lambda trial: 0.0, 0.01)
    assert learned_keep_rate(folds, np.full(20, 0.5)).value == KEEP_RATE
    assert learned_keep_rate(folds, np.empty(0)).value == KEEP_RATE
    assert not folds.asked


def test_the_weight_is_learned_at_the_keep_rate_that_was_chosen():
    folds = Folds(lambda trial: -0.05 * trial.weight, 0.001)
    learned = learned_weight(folds, "coverage", 0.5)
    assert learned.value == min(WEIGHTS)
    assert {trial.keep_rate for _, trials in folds.asked for trial in trials} == {0.5}
    assert learned_weight(Folds(lambda trial: 0.0, 0.01), "coverage", 1.0).value == WEIGHT
    assert Trial().weight == WEIGHT


def test_what_a_candidate_says_of_its_origin_may_be_anything():
    train = [Conversation(f"r{n}", (Message("user", f"text {n}"),), "a", "real") for n in range(3)]
    vectors = np.eye(3, dtype=np.float32)
    said = [["r1", {"id": "r2"}], [{"id": "r0"}], "r0", None]
    pool = [
        Conversation(f"s{n}", (Message("user", "text"),), "a", "synthetic", meta={"examples": examples})
        for n, examples in enumerate(said)
    ]
    candidates = Candidates(["a"] * 4, vectors[[0, 2, 1, 0]], np.ones(4), np.ones(4))
    assert [rows.tolist() for rows in written_from(pool, candidates, train, vectors)] == [[1], [2], [1], [0]]
