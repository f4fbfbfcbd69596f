import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from posology.report.canvas import Canvas
from posology.report.panel import AIR, Panel, limits, spaced, ticks


@given(st.dictionaries(st.floats(0, 700), st.floats(0, 80), min_size=1, max_size=12), st.data())
def test_labels_never_touch_and_what_matters_stays(widths, data):
    keep = data.draw(st.lists(st.sampled_from(sorted(widths)), max_size=2))
    shown = spaced(widths, keep)
    for a, b in itertools.pairwise(shown):
        assert b - widths[b] / 2 - (a + widths[a] / 2) >= AIR - 1e-6
    assert not keep or keep[0] in shown
    assert shown


def test_nothing_to_label():
    assert spaced({}) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_limits_leave_air_on_both_sides(values):
    low, high = limits(values)
    assert low < min(values) and max(values) < high
    assert high - low >= 0.02 - 1e-9


@pytest.mark.parametrize(
    ("ends", "at_most", "wanted"),
    [
        ((0.683, 0.957), 7, [0.7, 0.75, 0.8, 0.85, 0.9, 0.95]),
        ((-0.06, 0.19), 5, [-0.05, 0, 0.05, 0.1, 0.15]),
        ((0, 1), 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ((0.19, 0.61), 1, [0.2, 0.4, 0.6]),
    ],
)
def test_ticks_are_round_and_inside(ends, at_most, wanted):
    assert ticks(*ends, at_most) == wanted


@given(st.floats(-2, 2), st.floats(0.001, 3), st.integers(2, 9))
def test_there_are_enough_ticks_and_not_too_many(low, width, at_most):
    high = low + width
    assume(high > low)
    values = ticks(low, high, at_most)
    assert 2 <= len(values) <= max(at_most + 1, 6)
    assert all(low - 1e-6 <= value <= high + 1e-6 for value in values)
    gaps = [b - a for a, b in itertools.pairwise(values)]
    assert all(math.isclose(gap, gaps[0], abs_tol=1e-8) for gap in gaps)
    assert f"{gaps[0]:e}"[0] in "125" or f"{gaps[0]:e}"[:4] in ("9.99", "1.99", "4.99")


def test_a_panel_puts_data_in_its_rectangle_and_holds_it_there():
    panel = Panel(Canvas(300, 200, 12), (50, 250), 20, 100, across=(0, 10), up=(0.5, 1.0))
    assert (panel.x(0), panel.x(5), panel.x(10), panel.x(99)) == (50, 150, 250, 250)
    assert (panel.y(0.5), panel.y(0.75), panel.y(1), panel.y(-3)) == (120, 70, 20, 120)
    assert panel.points([0, 10], [1, 0.5]) == [(50, 20), (250, 120)]


def test_no_share_below_0_or_above_1_is_named():
    canvas = Canvas(300, 200, 12)
    Panel(canvas, (50, 250), 20, 100, across=(0, 1), up=(-0.3, 1.3)).shares_axis(9)
    assert ">0</text>" in canvas.markup() and ">100</text>" in canvas.markup()
    assert ">120</text>" not in canvas.markup() and "\u2212" not in canvas.markup()
