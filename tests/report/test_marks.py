import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.report import marks
from posology.report.results import Measure


def numbers(svg, name):
    return [float(value) for value in re.findall(rf'\b{name}="([\d.-]+)"', svg)]


def test_a_bar_is_as_long_as_its_share():
    assert numbers(marks.bar(0.5, 100), "width") == [100, 50]
    assert numbers(marks.bar(0, 100), "width") == [100, 0]
    assert numbers(marks.bar(0.0001, 100), "width") == [100, 1], "something is never nothing"
    assert numbers(marks.bar(7, 100), "width") == [100, 100]


def test_a_dumbbell_says_which_way_it_went():
    assert 'class="dot gain"' in marks.dumbbell(0.4, 0.6, 100)
    assert 'class="dot loss"' in marks.dumbbell(0.6, 0.4, 100)
    assert 'class="dot same"' in marks.dumbbell(0.6, 0.6, 100)
    assert 'class="dot gain"' in marks.dumbbell(0.6, 0.4, 100, fewer_is_better=True)
    assert numbers(marks.dumbbell(0, 1, 112), "cx") == [marks.PAD, 112 - marks.PAD]


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 0.5)), max_size=8), st.none() | st.floats(0.001, 0.5))
def test_every_interval_lies_on_the_common_scale(arms, resolvable):
    measures = [Measure(mean=mean, ci95=(mean - half, mean + half)) for mean, half in arms]
    low, high = marks.scale(measures, resolvable)
    assert low < high
    assert low <= 0 <= high
    for measure in measures:
        for kind in ("selected", "random"):
            svg = marks.difference(measure, kind, (low, high))
            places = numbers(svg, "x1") + numbers(svg, "x2")
            assert all(marks.PAD - 0.1 <= x <= marks.PLANE - marks.PAD + 0.1 for x in places)


def test_the_two_kinds_of_arm_differ_in_shape():
    measure, ends = Measure(mean=0.1, ci95=(0.05, 0.15)), (-0.1, 0.2)
    assert "<circle" in marks.difference(measure, "selected", ends)
    assert "<circle" not in marks.difference(measure, "random", ends)
    assert "whisker" not in marks.difference(Measure(mean=0.1), "random", ends)


def test_the_backdrop_lies_where_the_marks_say():
    middle = marks.PLANE / 2
    assert marks.backdrop((-0.1, 0.1), 0.1) == f"--zero:{middle:.1f}px;--low:6.0px;--high:{marks.PLANE - 6:.1f}px"
    assert marks.backdrop((-0.1, 0.1), None) == f"--zero:{middle:.1f}px;--low:{middle:.1f}px;--high:{middle:.1f}px"


def test_the_ruler_names_round_points():
    assert re.findall(r">([^<]+)</text>", marks.ruler((-0.06, 0.19))) == ["\u22125", "0", "+5", "+10", "+15"]


def test_marks_are_hidden_from_screen_readers():
    for mark in (marks.bar(0.3), marks.dumbbell(0, 1, 90), marks.ruler((0, 1))):
        assert 'aria-hidden="true"' in mark


@pytest.mark.parametrize("share", [float("-inf"), -1.0])
def test_a_senseless_share_draws_nothing(share):
    assert numbers(marks.bar(share, 100), "width") == [100, 0]
