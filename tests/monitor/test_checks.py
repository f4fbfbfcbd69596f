from dataclasses import replace

import numpy as np
import pytest

from monitor_support import window
from posology.monitor.baseline import learned
from posology.monitor.checks import NAMES, Norms, Reference
from posology.monitor.windows import labels

NORMS = Norms(near=0.55, languages=("en",), most_words=60)


@pytest.fixture(scope="module")
def reference():
    return Reference(window(800), NORMS)


@pytest.fixture(scope="module")
def calibration(reference):
    return learned(reference, 100, 0.02)


def drifted(reference, calibration, seen):
    values = reference.measure(seen)
    assert list(values) == list(NAMES) and all(np.isfinite(v) for v in values.values())
    return {name for name in NAMES if values[name] > calibration.threshold(name)}


def test_healthy_windows_rarely_alarm(reference, calibration):
    weeks = [drifted(reference, calibration, window(100, seed)) for seed in range(1, 61)]
    assert sum(map(bool, weeks)) <= 4


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"p": (0.2, 0.3, 0.5)}, "topic_share"),
        ({"topics": ("a", "b", "never seen")}, "topic_chi2"),
        ({"mood": -0.8}, "mood"),
        ({"move": 0.7}, "embedding_mmd"),
        ({"move": 0.7}, "embedding_auc"),
    ],
)
def test_faults_are_found_by_name(reference, calibration, fault, name):
    assert name in drifted(reference, calibration, window(100, 7, **fault))


def test_rows_of_other_kinds_are_found(reference, calibration):
    week, rows = window(100, 8), np.arange(30)

    def changed(**columns):
        return drifted(reference, calibration, replace(week, **columns))

    def put(column, value):
        column = column.copy()
        column[rows] = value
        return column

    assert changed() == set()
    assert "language" in changed(language=labels(put(week.language.astype("<U8"), "de")))
    assert "malformed" in changed(layout=put(week.layout, False))
    assert "malformed" in changed(words=put(week.words, 0))
    assert "length" in changed(words=week.words + 20)
    assert "mess" in changed(mess={"emoji": np.ones(100, np.float32)})
    assert "low_confidence" in changed(confidence=put(week.confidence, 0.1))
    assert "far_from_training" in changed(similarity=put(week.similarity, 0.1))
    same = put(week.vectors, week.vectors[0])
    assert "new_cluster" in changed(similarity=put(week.similarity, 0.1), vectors=same)


def test_one_language_that_training_lacks_is_no_alarm(reference, calibration):
    week = window(100, 8)
    language = week.language.astype("<U8")
    language[0] = "da"
    assert "language" not in drifted(reference, calibration, replace(week, language=labels(language)))


def test_changes_name_what_moved(reference):
    moved = reference.changes(window(200, 3, p=(0.2, 0.3, 0.5)), "topic")
    assert moved["c"] > 3 and moved["a"] < -3 and set(moved) == {"a", "b", "c", "other"}
    assert reference.changes(window(200, 3, mood=-1), "mood")["mood"] < -5


def test_windows_are_drawn_the_same_each_time(reference):
    first, second = (reference.resample(50, 30, seed) for seed in (0, 0))
    assert np.array_equal(first, second)
    assert first.shape == (30, len(NAMES))
    with pytest.raises(ValueError, match="cannot be drawn"):
        reference.resample(800, 10, 0)
