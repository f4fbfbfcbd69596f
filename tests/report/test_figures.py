import re
import xml.etree.ElementTree as ET

import pytest

from posology.report import canvas, dose_plot, figures, label_plot, results


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


def test_the_same_figure_has_the_same_bytes(drawn, document):
    assert drawn(document()) == drawn(document())


def test_no_number_has_more_than_two_decimals(drawn, document):
    for svg in drawn(document()):
        for places in re.findall(r'\b(?:points|x|y|cx|cy|r)="([^"]*)"', svg):
            assert re.fullmatch(r"-?\d+(\.\d\d?)?([ ,]-?\d+(\.\d\d?)?)*", places)


def corners(element, size):
    """The furthest points that an element is drawn to, text by its estimated width."""
    if element.tag in ("polyline", "polygon"):
        return [tuple(map(float, pair.split(","))) for pair in element.get("points").split()]
    if element.tag == "circle":
        x, y, r = (float(element.get(name)) for name in ("cx", "cy", "r"))
        return [(x - r, y - r), (x + r, y + r)]
    x, y, size = float(element.get("x")), float(element.get("y")), float(element.get("font-size", size))
    # The estimate has slack, which a text at the right edge may lose.
    width = 0.92 * canvas.text_width(element.text, size, bold=element.get("font-weight") == "700")
    left = x - width * {"middle": 0.5, "end": 1.0}.get(element.get("text-anchor"), 0.0)
    return [(left, y - 0.75 * size), (left + width, y + 0.2 * size)]


def overlap(a, b):
    (left, top), (right, bottom) = a
    return max(left, b[0][0]) < min(right, b[1][0]) and max(top, b[0][1]) < min(bottom, b[1][1])


@pytest.mark.parametrize("status", ["better", "no_worse", "inconclusive", "harmful"])
@pytest.mark.parametrize("options", [{}, {"pool": 600}, {"tail": False, "controls": False}, {"doses": (0.0, 0.1)}])
def test_all_stays_inside_and_no_two_texts_touch(drawn, document, status, options):
    for svg in drawn(document(status, **options)):
        for part in map(ET.fromstring, re.findall(r"<svg.*?</svg>", svg, re.DOTALL)):
            _, _, width, height = map(float, part.get("viewBox").split())
            drawn_ones = [e for e in part.iter() if e.tag in ("polyline", "polygon", "circle", "text")]
            for element in drawn_ones:
                for x, y in corners(element, part.get("font-size")):
                    assert 0 <= x <= width and 0 <= y <= height, ET.tostring(element)
            words = [(e.text, corners(e, part.get("font-size"))) for e in drawn_ones if e.tag == "text"]
            assert not [(a, b) for i, (a, box) in enumerate(words) for b, other in words[:i] if overlap(box, other)]


def test_every_mark_tells_its_numbers_to_a_pointer(drawn, document):
    svg, labels = drawn(document("better"))
    told = re.findall(r"<g><title>([^<]*)</title>", svg)
    assert len(told) == 2 * 2 * 13, "two widths, two panels, 7 selected arms and 6 controls"
    assert "30\u00a0% selected: accuracy 89.5\u00a0%, +15.0\u00a0points from real only [10.2,\u00a019.8]" in told
    assert "real only: accuracy 74.5\u00a0%" in told
    assert any(text.startswith("30\u00a0% random: tail recall ") for text in told)
    assert any(text.startswith("2,000\u00a0real labels: accuracy ") for text in re.findall(r"<title>([^<]*)", labels))


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
    assert selected.shape != control.shape
    assert selected.fill != control.fill
    assert selected.dash != control.dash


def test_without_tail_controls_curve_or_cliff_the_figure_still_stands(drawn, document):
    svg, labels = drawn(document("inconclusive", optional=False, controls=False, tail=False))
    assert not any("tail" in text or "cliff" in text for text in texts(svg))
    assert canvas.RED not in svg
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


@pytest.mark.parametrize("b", [40.0, -40.0])
def test_a_law_that_leaves_all_bounds_stays_in_the_figure(drawn, document, b):
    value = document()
    value["labels"]["fit"] |= {"a": 0.5, "b": b, "c": 0.1}
    assert "Real labels" in texts(drawn(value)[1])


def test_title_and_description_are_escaped():
    svg = figures.both("money", lambda frame: frame.canvas(40), title="A & B", description="<x>")
    assert "A &amp; B</title>" in svg
    assert "&lt;x&gt;</desc>" in svg
    assert 'aria-labelledby="money-wide-title money-wide-desc"' in svg
