import itertools
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.gaps.allocation import LearningCurve, TopicStats, WaterFilling, fit_curve, topic_sequence


def measured(counts, recall=0.7):
    return [TopicStats(f"t{i:04}", n, n, round(n * recall), max(n - 1, 0)) for i, n in enumerate(counts)]


def filled(stats, order):
    got = Counter(order)
    return [s.n_real + got[s.topic] for s in stats]


class Ranked:
    """Worth that rises with every example: not concave."""

    def gain(self, stats):
        return lambda index, added: (index + 1) * (added + 1.0)

    def describe(self, stats):
        return {"rule": "ranked"}


def test_levels_fill_from_the_thinnest_up():
    stats = measured([0, 1, 5, 100])
    order = topic_sequence(stats, 9)
    assert order[:3] == ["t0000", "t0001", "t0000"]
    assert filled(stats, order) == [5, 5, 5, 100]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(0, 60))
def test_uniform_weights_leave_no_funded_topic_above_an_unfunded_one(counts, budget):
    stats = measured(counts)
    order = topic_sequence(stats, budget)
    levels, got = filled(stats, order), Counter(order)
    assert len(order) == budget
    highest = max((level for s, level in zip(stats, levels, strict=True) if got[s.topic]), default=0)
    assert highest <= min(levels) + 1


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    st.integers(0, 15),
    st.integers(0, 15),
    st.sampled_from(["uniform", "frequency"]),
)
def test_a_longer_order_begins_with_the_shorter(counts, short, more, weights):
    stats, rule = measured(counts), WaterFilling(weights=weights)
    whole = topic_sequence(stats, short + more, allocation=rule)
    assert whole[:short] == topic_sequence(stats, short, allocation=rule)


@pytest.mark.parametrize("weights", ["uniform", "frequency"])
@pytest.mark.parametrize("efficiency", [1.0, 0.4])
def test_greedy_is_optimal(weights, efficiency):
    stats = measured([0, 2, 3, 9], recall=0.5)
    rule = WaterFilling(efficiency=efficiency, weights=weights)
    gain = rule.gain(stats)

    def worth(shares):
        return sum(gain(i, j) for i, n in enumerate(shares) for j in range(n))

    got = Counter(topic_sequence(stats, 6, allocation=rule))
    best = max(worth(shares) for shares in itertools.product(range(7), repeat=4) if sum(shares) == 6)
    assert worth([got[s.topic] for s in stats]) == pytest.approx(best)


def test_frequency_weights_favour_common_topics():
    stats = measured([2, 40])
    uniform = Counter(topic_sequence(stats, 30))
    frequency = Counter(topic_sequence(stats, 30, allocation=WaterFilling(weights="frequency")))
    assert frequency["t0001"] > uniform["t0001"] == 0


def test_half_as_efficient_examples_are_asked_for_twice_as_often():
    stats = measured([4, 14])
    # Up to the level of the other topic, ten examples at full and twenty at half efficiency.
    assert set(topic_sequence(stats, 10)) == {"t0000"}
    assert set(topic_sequence(stats, 20, allocation=WaterFilling(efficiency=0.5))) == {"t0000"}
    assert "t0001" in topic_sequence(stats, 12)


def test_a_pool_runs_out_topic_by_topic():
    stats = measured([0, 3])
    order = topic_sequence(stats, 100, {"t0000": 2, "t0001": 3})
    assert order == ["t0000"] * 2 + ["t0001"] * 3


@given(
    st.dictionaries(st.sampled_from(["t0000", "t0001", "t0002", "new", "later"]), st.integers(0, 9)), st.integers(0, 40)
)
def test_a_pool_is_never_overdrawn_and_used_up_before_the_order_ends(available, budget):
    order = topic_sequence(measured([0, 4, 9]), budget, available)
    got = Counter(order)
    assert all(got[topic] <= available.get(topic, 0) for topic in got)
    assert len(order) == min(budget, sum(available.values()))


def test_a_pool_topic_without_statistics_has_no_real_example():
    assert topic_sequence(measured([5]), 3, {"new": 9, "t0000": 9}) == ["new"] * 3


def test_equal_topics_take_turns_by_name():
    stats = [TopicStats(name, 2) for name in ("b", "a", "c")]
    assert topic_sequence(stats, 6) == ["a", "b", "c", "a", "b", "c"]


def test_gains_that_rise_are_flattened():
    order = topic_sequence(measured([1, 1, 1]), 6, allocation=Ranked())
    assert order == ["t0002"] * 6
    short = topic_sequence(measured([1, 1]), 4, {"t0000": 9, "t0001": 1}, allocation=Ranked())
    assert short == ["t0001"] + ["t0000"] * 3


def test_flattened_gains_tie_and_topics_take_turns():
    class Rising(Ranked):
        def gain(self, stats):
            return lambda index, added: added + 1.0

    # Taken as they are, the first topic's rising gains would take everything.
    assert topic_sequence(measured([1, 1]), 4, allocation=Rising()) == ["t0000", "t0001"] * 2


def test_nothing_comes_of_nothing():
    assert topic_sequence([], 10) == []
    assert topic_sequence(measured([1]), 0) == []
    assert topic_sequence(measured([1]), 5, {}) == []


@pytest.mark.parametrize("bad", [lambda: topic_sequence([], -1), lambda: topic_sequence([TopicStats("a", 1)] * 2, 1)])
def test_bad_arguments(bad):
    with pytest.raises(ValueError, match=r"negative|twice"):
        bad()


@pytest.mark.parametrize("efficiency", [0.0, -1.0, 1.5, float("nan")])
def test_efficiency_is_a_share(efficiency):
    with pytest.raises(ValueError, match="efficiency"):
        WaterFilling(efficiency=efficiency)


def test_large_budgets_and_many_topics_are_quick():
    started = time.perf_counter()
    order = topic_sequence(measured([i % 60 for i in range(300)]), 100_000)
    assert len(order) == 100_000
    assert len(set(topic_sequence(measured([0] * 5_000), 5_000))) == 5_000
    assert time.perf_counter() - started < 4


def test_one_topic_takes_any_number():
    assert len(topic_sequence(measured([3], recall=1.0), 50_000)) == 50_000


def test_curve_is_recovered():
    truth = LearningCurve(half=3.0, slope=0.8)
    rng = np.random.default_rng(0)
    stats = [
        TopicStats(f"t{i}", n + 1, 40, int(rng.binomial(40, truth.recall(n))), n)
        for i, n in enumerate(np.tile([1, 2, 4, 8, 16, 32, 64], 20))
    ]
    curve = fit_curve(stats)
    assert curve.half == pytest.approx(truth.half, rel=0.15)
    assert curve.slope == pytest.approx(truth.slope, abs=0.07)


@pytest.mark.parametrize(
    "stats",
    [
        [],
        [TopicStats("a", 1)],
        [TopicStats("a", 100_000, 100_000, 100_000, 80_000)],
        [TopicStats("a", 100_000, 100_000, 0, 80_000)],
        measured([1, 1, 1], recall=1.0),
        measured(range(200), recall=1.0),
    ],
)
def test_curve_is_always_defined_and_concave(stats):
    curve = fit_curve(stats)
    assert curve.half > 0
    assert 0 < curve.slope <= 1
    assert curve.recall(0) == 0
    gains = -np.diff([curve.miss(m) for m in range(200)])
    assert (gains > 0).all()
    assert (np.diff(gains) < 0).all()


def test_description_holds_settings_and_fit():
    described = WaterFilling(efficiency=0.5, weights="frequency").describe(measured([3, 30]))
    assert described["rule"] == "water_filling"
    assert (described["efficiency"], described["weights"]) == (0.5, "frequency")
    assert set(described["curve"]) == {"half", "slope"}
