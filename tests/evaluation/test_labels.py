import numpy as np
import pytest
from numpy.testing import assert_allclose

from posology.evaluation.labels import LearningPoint, fit_power_law, value_in_labels

SIZES = np.array([100, 200, 400, 800, 1600])


def law(n, a=0.9, b=1.5, c=0.45):
    return a - b * np.asarray(n, dtype=float) ** -c


def answers(share, n=2000, seeds=3, seed=0):
    """Right on the easiest share, each seed wrong on a few others."""
    rng = np.random.default_rng(seed)
    return np.stack([np.arange(n) < share * n + rng.integers(-4, 5) for _ in range(seeds)])


def value(gain=0.03, sizes=SIZES, n_real=1600, recommended=True, draws=200, n=2000, **changes):
    points = [LearningPoint(int(size), answers(law(size), n=n, seed=int(size))) for size in sizes]
    fields = {
        "real_only": answers(law(n_real), n=n),
        "recommended": answers(law(n_real) + gain, n=n) if recommended else None,
        "n_real": n_real,
        "label_cost": 4.0,
        "currency": "$",
        "draws": draws,
        **changes,
    }
    return value_in_labels(points, np.arange(n), **fields)


def test_an_exact_law_is_found_again():
    a, b, c = fit_power_law(SIZES.astype(float), law(SIZES)[None])
    assert a[0] == pytest.approx(0.9, abs=0.003)
    assert c[0] == pytest.approx(0.45, abs=0.02)
    assert_allclose(a[0] - b[0] * SIZES ** -c[0], law(SIZES), atol=1e-3)


def test_bounds_hold_and_are_optimal_where_they_bite():
    sizes = SIZES.astype(float)
    curves = np.stack([1.2 - 4 * sizes**-0.4, np.linspace(0.8, 0.7, 5), np.full(5, 0.8)])
    a, b, c = fit_power_law(sizes, curves)
    assert (a <= 1).all()
    assert (b >= 0).all()
    assert ((c >= 0.05) & (c <= 2)).all()
    assert a[1] == pytest.approx(0.75)  # falling: best is level
    assert b[1] == 0
    assert a[2] == pytest.approx(0.8)


def test_all_curves_are_fitted_as_if_alone():
    rng = np.random.default_rng(0)
    curves = law(SIZES) + 0.01 * rng.standard_normal((7, 5))
    together = np.array(fit_power_law(SIZES.astype(float), curves))
    alone = np.hstack([np.array(fit_power_law(SIZES.astype(float), curve[None])) for curve in curves])
    assert_allclose(together, alone)


def test_the_fit_agrees_with_nonlinear_least_squares():
    from scipy.optimize import least_squares

    sizes = SIZES.astype(float)
    y = law(sizes) + 0.004 * np.random.default_rng(1).standard_normal(5)
    a, b, c = (v[0] for v in fit_power_law(sizes, y[None]))
    bounds = ([0, 0, 0.05], [1, np.inf, 2])
    best = min(
        least_squares(lambda p: p[0] - p[1] * sizes ** -p[2] - y, (a0, 1.0, c0), bounds=bounds).cost
        for a0 in (0.85, 0.95)
        for c0 in (0.2, 0.5, 1.0)
    )
    assert np.square(a - b * sizes**-c - y).sum() / 2 <= best * 1.02 + 1e-9


def test_the_gain_is_read_off_the_law():
    result = value(gain=0.02)
    expected = (1.5 / (0.9 - law(1600) - 0.02)) ** (1 / 0.45) - 1600
    assert result.equivalent_labels == pytest.approx(expected, rel=0.35)
    low, high = result.ci95
    assert low < result.equivalent_labels < (high or np.inf)
    assert result.to_json()["saved"] == 4 * result.equivalent_labels
    assert f"about {result.equivalent_labels:,} further real labels" in result.note


def test_a_larger_gain_is_worth_more():
    assert value(gain=0.01).equivalent_labels < value(gain=0.02).equivalent_labels


@pytest.mark.parametrize("gain", [0.047, 0.2])
def test_no_number_is_invented_out_of_range(gain):
    result = value(gain=gain)
    assert result.equivalent_labels is None
    assert result.to_json()["saved"] is None
    assert result.ci95[1] is None
    assert "more than 16,000 further real labels" in result.note
    assert ("than real data is fitted ever to reach" in result.note) == (gain == 0.2)


def test_reasons_for_no_number():
    assert "no gain to express" in value(recommended=False).note
    assert "at least 3 sizes" in value(sizes=SIZES[:2]).note
    assert "shows no gain" in value(gain=-0.02).note
    for result in (value(recommended=False), value(sizes=SIZES[:2]), value(gain=-0.02)):
        assert result.equivalent_labels is None
        assert result.ci95 is None


def test_the_curve_is_listed_in_order_with_intervals_that_hold_the_points():
    result = value(sizes=SIZES[::-1])
    rows = result.to_json()["learning_curve"]
    assert [row["n_real"] for row in rows] == SIZES.tolist()
    for row in rows:
        assert row["ci95"][0] < row["accuracy"] < row["ci95"][1]
        assert row["accuracy"] == pytest.approx(law(row["n_real"]), abs=0.003)
    assert result.to_json()["fit"]["law"] == "a - b*n^-c"


def test_the_same_seed_gives_the_same_interval():
    assert value(seed=5) == value(seed=5)
    assert value(seed=5, n=300).ci95 != value(seed=6, n=300).ci95


def test_points_of_one_repetition_are_fine():
    points = [LearningPoint(int(size), answers(law(size), seeds=1)) for size in SIZES]
    result = value_in_labels(
        points,
        np.arange(2000),
        real_only=answers(law(1600), seeds=1),
        recommended=answers(law(1600) + 0.01, seeds=1),
        n_real=1600,
        label_cost=0.0,
        currency="EUR",
        draws=100,
    )
    assert result.equivalent_labels is not None
    assert result.to_json()["saved"] == 0
