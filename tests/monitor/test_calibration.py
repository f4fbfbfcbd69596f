import numpy as np
import pytest

from posology.errors import StoreError
from posology.monitor.calibration import Calibration

NAMES = ("first", "second", "rare")


def resampled(n, seed=0):
    """Three checks of n healthy windows: two that move together, and a count that is mostly zero."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal(n)
    return np.column_stack([first, first + 0.5 * rng.standard_normal(n), rng.poisson(0.05, n)])


@pytest.fixture(scope="module")
def calibration():
    return Calibration.of(resampled(4000), NAMES, {"first": 3.0}, size=200, rate=0.04)


def alarms(calibration, values):
    return values > np.array([calibration.threshold(name) for name in NAMES])


def test_any_alarm_at_all_comes_as_rarely_as_stated(calibration):
    fresh = alarms(calibration, resampled(4000, seed=1))
    assert 0.02 < fresh.any(axis=1).mean() < 0.055
    assert fresh[:, 0].mean() > 1.5 * fresh[:, 1].mean()  # the heavier check has more of the budget


def test_threshold_and_p_value_agree_everywhere(calibration):
    for name, values in zip(NAMES, resampled(300, seed=2).T, strict=True):
        most = calibration.threshold(name)
        for value in [*values, most, np.nextafter(most, np.inf), 1e9, -1e9]:
            assert (value > most) == (calibration.p_value(name, value) <= calibration.rate)


def test_a_value_beyond_all_is_an_alarm_and_one_below_all_is_none(calibration):
    assert calibration.p_value("second", 1e9) < 0.01
    assert calibration.p_value("second", -1e9) == 1


def test_it_is_kept_and_read_again(calibration, tmp_path):
    calibration.save(tmp_path / "c.npz")
    kept = Calibration.load(tmp_path / "c.npz")
    assert (kept.names, kept.size, kept.rate) == (NAMES, 200, 0.04)
    assert [kept.threshold(n) for n in NAMES] == [calibration.threshold(n) for n in NAMES]
    (tmp_path / "c.npz").write_bytes((tmp_path / "c.npz").read_bytes()[:300])
    with pytest.raises(StoreError, match="damaged"):
        Calibration.load(tmp_path / "c.npz")
