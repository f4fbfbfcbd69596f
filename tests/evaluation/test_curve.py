import numpy as np
import pytest

from posology.evaluation.curve import fit_curve, next_dose

STORY = ([0.0, 0.1, 0.3, 0.5, 1.0], np.array([0.72, 0.80, 0.85, 0.79, 0.52]))


def noise(size, deviation=0.03, shared=0.8):
    return deviation**2 * (shared * np.ones((size, size)) + (1 - shared) * np.eye(size))


def test_the_curve_passes_near_precise_arms_and_is_wider_between_them():
    curve = fit_curve(*STORY, noise(5, 0.005))
    assert len(curve.doses) == len(curve.mean) == len(curve.low) == len(curve.high) == 41
    assert (curve.doses[0], curve.doses[-1]) == (0.0, 1.0)
    at = dict(zip(np.round(curve.doses, 3), range(41), strict=True))
    for dose, accuracy in zip(*STORY, strict=True):
        assert curve.mean[at[dose]] == pytest.approx(accuracy, abs=0.01)
        assert curve.low[at[dose]] < accuracy < curve.high[at[dose]]
    width = np.subtract(curve.high, curve.low)
    assert width[at[0.75]] > 2 * width[at[0.5]]
    assert 0.1 < curve.doses[int(np.argmax(curve.mean))] < 0.4


@pytest.mark.parametrize(
    ("doses", "accuracy"),
    [([0.0, 0.3], [0.75, 0.85]), ([0.0, 0.3, 1.0], [0.75, 0.85, 0.6]), ([0.0, 0.4, 0.4], [0.7, 0.7, 0.7])],
)
def test_two_or_three_arms_give_a_sane_curve(doses, accuracy):
    curve = fit_curve(doses, np.array(accuracy), noise(len(doses)))
    assert np.isfinite(curve.mean).all()
    assert min(accuracy) - 0.05 < min(curve.mean) <= max(curve.mean) < max(accuracy) + 0.05
    assert all(0 <= low < high <= 1 for low, high in zip(curve.low, curve.high, strict=True))
    assert curve.high[0] - curve.low[0] == pytest.approx(4 * 0.03, abs=0.03)


def test_one_dose_has_no_curve():
    assert fit_curve([0.0], np.array([0.7]), noise(1)) is None
    assert fit_curve([0.0, 0.0], np.array([0.7, 0.7]), noise(2)) is None


def test_the_band_stays_in_the_unit_interval():
    curve = fit_curve([0.0, 0.5, 1.0], np.array([0.99, 1.0, 0.98]), noise(3))
    assert max(curve.high) == 1.0
    assert curve.to_json()["high"][0] <= 1


def test_the_band_covers_smooth_responses():
    rng = np.random.default_rng(0)
    doses = np.array([0.0, 0.1, 0.3, 0.6, 1.0])
    outside = 0
    for _ in range(60):
        peak, height, fall = rng.uniform(0.2, 0.6), rng.uniform(0, 0.12), rng.uniform(0, 0.3)
        truth = lambda d, p=peak, h=height, f=fall: 0.75 + h * (1 - (1 - np.minimum(d / p, 1)) ** 2) - f * d**3  # noqa: E731
        covariance = noise(5, 0.02)
        curve = fit_curve(doses, truth(doses) + rng.multivariate_normal(np.zeros(5), covariance), covariance)
        inside = (np.array(curve.low) <= truth(np.array(curve.doses))) & (
            truth(np.array(curve.doses)) <= np.array(curve.high)
        )
        outside += (~inside).mean()
    assert outside / 60 < 0.1


def test_the_next_dose_lies_near_the_peak_and_is_new():
    proposal = next_dose(*STORY, noise(5), min_gain=0.0)
    assert proposal.dose in (0.15, 0.2, 0.25, 0.35)
    assert next_dose([0.0, 0.3, 1.0], np.array([0.75, 0.85, 0.6]), noise(3)).dose < 0.7


def test_nothing_is_proposed_where_nothing_is_to_be_gained():
    flat = np.full(5, 0.72)
    assert next_dose(STORY[0], flat, noise(5, 0.01, 0.95)) is None
    assert next_dose(*STORY, noise(5), min_gain=0.5) is None


def test_it_stays_below_the_highest_dose_and_knows_the_end_of_the_grid():
    assert next_dose([0.0, 0.1], np.array([0.7, 0.75]), noise(2), highest=0.3).dose <= 0.3
    assert next_dose([0.0, 0.5, 1.0], np.array([0.7, 0.8, 0.7]), noise(3), step=0.5) is None
    assert next_dose([0.0, 0.1], np.array([0.7, 0.75]), noise(2), highest=0.04) is None


def test_dose_zero_alone_proposes_something():
    assert 0 < next_dose([0.0], np.array([0.75]), noise(1)).dose <= 1


def test_a_better_outlook_is_worth_more():
    low = next_dose([0.0, 0.3], np.array([0.8, 0.7]), noise(2), step=1.0, min_gain=0.0)
    high = next_dose([0.0, 0.3], np.array([0.7, 0.8]), noise(2), step=1.0, min_gain=0.0)
    assert 0 <= low.gain < high.gain
