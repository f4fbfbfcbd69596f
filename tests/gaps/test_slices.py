import numpy as np
import pytest

from posology.gaps.slices import slices
from posology.records import Conversation, Message


def rows(n, rng, weak=lambda text: False, styles=("Where is it", "where is it")):
    train, said = [], []
    for i in range(n):
        topic, text = f"t{i % 4}", styles[int(rng.integers(len(styles)))]
        train.append(Conversation(f"id{i}", (Message("user", text),), topic))
        said.append(topic if rng.random() < (0.5 if weak(text) else 0.9) else "other")
    return train, said


def named(found):
    return {(s.slice, s.value): s for s in found}


def test_a_weak_slice_is_flagged_and_the_others_are_not():
    found = named(slices(*rows(400, np.random.default_rng(0), weak=str.islower)))
    weak = found["casing", "lower"]
    assert weak.flag is not None
    assert weak.difference == pytest.approx(-0.4, abs=0.1)
    assert weak.difference_ci95[1] < 0
    assert weak.p_adjusted < 0.001
    assert found["casing", "normal"].flag is None  # stronger than the rest is no gap
    assert found["casing", "normal"].p_adjusted < 0.001
    assert all(s.flag is None for key, s in found.items() if key[0] != "casing")


def test_chance_flags_nothing():
    rng = np.random.default_rng(3)
    styles = (
        "Where is it",
        "where is it",
        "please help, thanks",
        "HEY THIS IS BAD!!",
        "my card never arrived here at all",
    )
    alarms = sum(any(s.flag for s in slices(*rows(200, rng, styles=styles))) for _ in range(60))
    assert alarms <= 6


def test_small_slices_are_not_tested():
    train, said = rows(200, np.random.default_rng(0), styles=("Where is it",))
    train = [
        Conversation(c.id, (Message("user", "where is it"),), c.topic) if i < 9 else c for i, c in enumerate(train)
    ]
    said = ["wrong"] * 9 + said[9:]
    small = named(slices(train, said))["casing", "lower"]
    assert (small.n, small.recall, small.flag, small.p_adjusted) == (9, 0.0, None, None)
    assert small.note == "thin: 4.5% of the training data; too few for a test"


def test_missing_slices_are_noted():
    found = named(slices(*rows(100, np.random.default_rng(0))))
    upper = found["casing", "upper"]
    assert (upper.n, upper.share, upper.recall, upper.ci95) == (0, 0.0, None, None)
    assert upper.note == "none in the training data"


def test_a_slice_without_a_rest_is_not_compared():
    only = named(slices(*rows(100, np.random.default_rng(0))))["turns", "1 turn"]
    assert only.recall is not None
    assert only.difference is only.p_adjusted is only.flag is None


def test_unpredicted_rows_count_for_the_share_alone():
    train, _ = rows(100, np.random.default_rng(0))
    found = slices(train, [None] * 100)
    assert all(s.recall is None and s.difference is None for s in found)
    assert named(found)["turns", "1 turn"].n == 100


def test_values_of_a_dimension_cover_everything():
    found = slices(*rows(100, np.random.default_rng(0)))
    for dimension in {s.slice for s in found}:
        assert sum(s.n for s in found if s.slice == dimension) == 100


def test_all_right_and_one_example_a_topic():
    train = [Conversation(str(i), (Message("user", "Hi there" if i % 2 else "hi there"),), f"t{i}") for i in range(60)]
    found = named(slices(train, [c.topic for c in train]))
    assert found["casing", "lower"].recall == 1.0
    assert found["casing", "lower"].difference is None  # no topic has both kinds


def test_bad_input():
    assert slices([], []) == []
    train, said = rows(3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="3 conversations but 2"):
        slices(train, said[:2])
