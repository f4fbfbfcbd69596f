import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from posology.evaluation.paired import contrasts, difference_matrix
from posology.evaluation.power import (
    assumed_discordance,
    power,
    power_statement,
    smallest_resolvable_difference,
)

PAIR = difference_matrix([(1, 0)], 2)


def resolvable(scores):
    return smallest_resolvable_difference(scores, contrasts(scores, PAIR))


@pytest.mark.parametrize(("gained", "lost"), [(9, 9), (10, 4), (20, 20), (40, 10)])
def test_the_interval_leaves_out_zero_from_the_resolvable_difference_on(scores_of, discordant, gained, lost):
    n, total = 200, gained + lost
    limit = resolvable(scores_of(discordant(n, gained, lost), draws=4000)) * n
    for won in range(total // 2, total + 1):
        family = contrasts(scores_of(discordant(n, won, total - won), draws=4000), PAIR)
        if abs(2 * won - total - limit) > 1:  # closer, the draws decide
            assert (family.low[0] > 0) == (2 * won - total > limit)


def test_it_grows_with_discordance_and_shrinks_with_the_holdout(scores_of, discordant):
    few, many = resolvable(scores_of(discordant(200, 10, 10))), resolvable(scores_of(discordant(200, 30, 30)))
    large = resolvable(scores_of(discordant(2000, 300, 300)))
    assert few < many
    assert many == pytest.approx(norm.isf(0.025) * np.sqrt(0.3 / 200), rel=0.1)
    assert large == pytest.approx(many / np.sqrt(10), rel=0.1)


@pytest.mark.parametrize("n", [1, 5, 200])
def test_without_discordance_it_is_what_any_difference_would_take(scores_of, discordant, n):
    limit = resolvable(scores_of(discordant(n, 0, 0, both=n)))
    if n == 200:  # six against none is p = 0.031
        assert 5 / n < limit < 7 / n
    else:
        assert limit > 0.85
    alone = scores_of(np.ones((1, n)))
    assert smallest_resolvable_difference(alone, contrasts(alone, difference_matrix([], 1))) == pytest.approx(limit)


def test_power_agrees_with_simulation(scores_of):
    rng = np.random.default_rng(0)
    difference, discordance, n = 0.08, 0.16, 200
    found = 0
    for seed in range(200):
        kind = rng.choice(
            3, size=n, p=[(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
        )
        right = np.stack([kind == 1, kind == 0])
        found += contrasts(scores_of(right, draws=300, seed=seed), PAIR).significant()[0]
    assert found / 200 == pytest.approx(power(difference, n, discordance), abs=0.1)


@given(st.floats(0.01, 0.2), st.integers(20, 5000), st.floats(0.01, 0.5), st.integers(1, 12))
def test_power_is_a_probability_that_grows_with_the_holdout_and_falls_with_the_arms(difference, n, discordance, arms):
    here = power(difference, n, discordance, arms)
    assert 0 <= here <= 1
    assert power(difference, 2 * n, discordance, arms) >= here
    assert power(difference, n, discordance, arms + 1) <= here


def test_sizes_are_the_smallest_that_reach_eighty_percent():
    statement = power_statement(200, 0.75, n_arms=8)
    for row in statement.detectable:
        assert power(row.difference, row.n_for_80, statement.discordance, 8) >= 0.8
        assert power(row.difference, row.n_for_80 - 1, statement.discordance, 8) < 0.8
    assert [row.difference for row in statement.detectable] == [0.03, 0.06, 0.13]


def test_the_sentence_says_what_is_found_and_what_it_takes():
    small = power_statement(200, 0.75, n_arms=4).sentence
    assert "With 200 distinct held-out conversations" in small
    assert "for 13 points" in small
    assert "A chance of 80 % takes about" in small
    large = power_statement(100_000, 0.75, n_arms=4).sentence
    assert "over 99 %" in large
    assert "takes" not in large


def test_groups_of_near_duplicates_count_once():
    assert (
        power_statement(400, 0.8, n_arms=4, n_groups=200).detectable == power_statement(200, 0.8, n_arms=4).detectable
    )


def test_measured_discordance_is_taken_as_given():
    statement = power_statement(200, 0.75, n_arms=4, discordance=0.05)
    assert statement.discordance == 0.05
    assert statement.detectable[1].power > power_statement(200, 0.75, n_arms=4).detectable[1].power
    assert statement.to_json()["assumed"] == {"accuracy": 0.75, "discordance": 0.05, "source": "discordance given"}


@given(st.floats(0, 1))
def test_assumed_discordance_is_possible(accuracy):
    assert 0.02 <= assumed_discordance(accuracy) <= 0.25


@pytest.mark.parametrize("wrong", [{"n": 0}, {"accuracy": 1.2}, {"n_arms": 0}, {"discordance": -0.1}])
def test_numbers_out_of_range_are_refused(wrong):
    fields = {"n": 200, "accuracy": 0.8, "n_arms": 4, **wrong}
    with pytest.raises(ValueError, match="at least 1"):
        power_statement(fields.pop("n"), fields.pop("accuracy"), **fields)
