import itertools
import re
import xml.etree.ElementTree as ET

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.report import dose_plot, figures, label_plot, results


@pytest.fixture(scope="module")
def drawn():
    """One figure of each kind, from one made-up sweep."""

    def draw(value):
        result = results.parse(value)
        return str(dose_plot.figure(result)), str(label_plot.figure(result) or "")

    return draw


def texts(svg, frame="wide"):
    part = next(part for part in re.findall(r"<svg.*?</svg>", svg, re.DOTALL) if f'class="{frame}"' in part)
    return re.findall(r"<text[^>]*>([^<]*)</text>", part)


def test_a_figure_is_drawn_for_both_widths_as_plain_elements(drawn, document):
    for svg in drawn(document()):
        wide, narrow = re.findall(r"<svg.*?</svg>", svg, re.DOTALL)
        assert 'class="wide"' in wide and 'viewBox="0 0 760 ' in wide
        assert 'class="narrow"' in narrow and 'viewBox="0 0 360 ' in narrow
        for part in (wide, narrow):
            ET.fromstring(part)
            assert "<title" in part and "<desc" in part and 'role="img"' in part
            assert not re.search(r"<style|xmlns|http|DejaVu|<metadata|<!DOCTYPE", part)


def test_ids_are_unique_and_every_reference_is_met(drawn, document):
    svg = "".join(drawn(document()))
    ids = re.findall(r'\bid="([^"]+)"', svg)
    wanted = re.findall(r'href="#([^"]+)"', svg) + re.findall(r"url\(#([^)]+)\)", svg)
    assert len(ids) == len(set(ids))
    assert set(wanted) <= set(ids)


def test_the_same_figure_has_the_same_bytes_whatever_the_user_has_set(drawn, document):
    first = drawn(document())
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.fonttype": "path", "savefig.dpi": 200}):
        before = dict(matplotlib.rcParams)
        assert drawn(document()) == first
        assert dict(matplotlib.rcParams) == before, "the user's settings are left alone"


def test_the_dose_figure_names_what_matters(drawn, document):
    for frame in ("wide", "narrow"):
        said = texts(drawn(document("better"))[0], frame)
        assert "recommended: 30\u00a0%" in said
        assert "cliff: \u22124.0\u00a0points" in said
        assert "real only" in said
        assert "Accuracy, %" in said
        assert any(text.startswith("Recall on tail topics (at most 5 real)") for text in said)
        assert "+857" in said
    assert "recommended: real only" in texts(drawn(document("harmful"))[0])


def test_a_short_pool_moves_the_mark_to_the_dose_reached(drawn, document):
    said = texts(drawn(document("better", pool=600))[0])
    assert "recommended: 23.1\u00a0%" in said
    assert "+600" in said


def test_controls_differ_from_arms_in_colour_shape_and_dash():
    selected, control = dose_plot.LOOKS["selected"], dose_plot.LOOKS["random"]
    assert selected.colour != control.colour
    assert selected.marker != control.marker
    assert selected.fill != control.fill
    assert selected.dash != control.dash


def test_without_tail_controls_curve_or_cliff_the_figure_still_stands(drawn, document):
    svg, labels = drawn(document("inconclusive", optional=False, controls=False, tail=False))
    assert not any("tail" in text or "cliff" in text for text in texts(svg))
    assert figures.RED not in svg
    assert labels == ""


@pytest.mark.parametrize("doses", [(0.0,), (0.0, 0.1)])
def test_very_small_sweeps_are_drawn(drawn, document, doses):
    value = document("better", doses=doses)
    if len(doses) == 1:
        value["curve"] = None
    assert "real only" in texts(drawn(value)[0])


def test_the_description_says_every_arm(document):
    said = dose_plot.describe(results.parse(document()))
    assert said.startswith("Real only: 74.5")
    assert said.count("simultaneous") == 6
    assert said.count("Random control") == 6


def test_the_labels_figure_marks_the_equivalent(drawn, document):
    value = document()
    said = texts(drawn(value)[1])
    more = f"{value['labels']['equivalent_labels']:,}"
    assert f"= {more} more labels" in said
    assert "with 30\u00a0% synthetic: +15.0\u00a0points" in said


@pytest.mark.parametrize("missing", ["fit", "equivalent_labels"])
def test_the_labels_figure_bears_what_is_not_known(drawn, document, missing):
    value = document()
    value["labels"][missing] = None
    said = texts(drawn(value)[1])
    assert "Real labels" in said
    assert any("more labels" in text for text in said) == (missing == "fit")


def test_a_dollar_sign_is_not_mathematics():
    def draw(frame):
        canvas = figures.canvas(frame, 40)
        canvas.text(0.1, 0.5, "$4 and $5 & <b>")
        return canvas

    svg = figures.both("money", draw, title="A & B", description="<x>")
    assert "$4 and $5 &amp; &lt;b&gt;" in svg
    assert "A &amp; B</title>" in svg
    assert "<desc" in svg and "&lt;x&gt;" in svg


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12, unique=True),
    st.floats(100, 700),
    st.lists(st.floats(0, 1), max_size=2),
)
def test_labels_never_touch_and_what_matters_stays(positions, per_unit, keep):
    shown = figures.spaced(positions, per_unit=per_unit, gap=44, keep=keep)
    assert all((b - a) * per_unit >= 44 - 1e-6 for a, b in itertools.pairwise(shown))
    assert not keep or keep[0] in shown
    assert shown


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_limits_leave_air_on_both_sides(values):
    low, high = figures.limits(values)
    assert low < min(values) and max(values) < high
    assert high - low >= 0.02 - 1e-9


def test_ticks_are_round_and_inside():
    assert figures.ticks(0.683, 0.957, 7) == [0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
