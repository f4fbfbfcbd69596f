import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.report import canvas
from posology.report.canvas import BLUE, INK, PAPER, Canvas


@pytest.fixture
def sheet():
    return Canvas(200, 100, 10)


@given(st.floats(-1e6, 1e6))
def test_numbers_have_two_decimals_and_no_idle_zeros(value):
    text = canvas.number(value)
    assert float(text) == pytest.approx(value, abs=0.00501)
    assert re.fullmatch(r"-?\d+(\.\d?[1-9])?", text)
    assert text != "-0"


def test_words_are_escaped_and_kept_as_they_are(sheet):
    sheet.text((5, 5), "$4 and $5 & <b>", INK, anchor="start")
    with sheet.titled('<script>"'):
        sheet.text((5, 5), "x", INK)
    assert "$4 and $5 &amp; &lt;b&gt;" in sheet.markup()
    assert "<g><title>&lt;script&gt;&#34;</title><text " in sheet.markup()


def test_a_title_holds_only_what_was_drawn_inside(sheet):
    sheet.line([(0, 0), (1, 1)], INK)
    with sheet.titled("dose"):
        sheet.mark("circle", (1, 1), 2, fill=BLUE, edge=BLUE)
    sheet.line([(2, 2), (3, 3)], INK)
    assert re.findall(r"</?(\w+)", sheet.markup()) == ["polyline", "g", "title", "title", "circle", "g", "polyline"]


def test_colours_of_the_page_become_variables_and_others_stay(sheet):
    sheet.line([(0, 0), (1, 1)], BLUE)
    sheet.area([(0, 0), (1, 1), (1, 0)], "#123456", opacity=0.5)
    assert f'stroke="var(--blue, {BLUE})"' in sheet.markup()
    assert 'fill="#123456"' in sheet.markup()


def test_what_is_not_asked_for_is_not_written(sheet):
    sheet.line([(0, 0), (1.234567, 1)], INK)
    assert sheet.markup() == (f'<polyline points="0,0 1.23,1" stroke="var(--ink, {INK})" stroke-width="1"/>')


def test_marks_differ_in_shape(sheet):
    sheet.mark("diamond", (10, 10), 4, fill=PAPER, edge=INK)
    sheet.mark("square", (10, 10), 3, fill=PAPER, edge=INK)
    assert 'points="10,6 14,10 10,14 6,10"' in sheet.markup()
    assert 'points="7,7 13,7 13,13 7,13"' in sheet.markup()


@given(st.floats(0, 200), st.text(min_size=1, max_size=12), st.booleans())
def test_centred_words_stay_on_the_canvas(x, words, bold):
    sheet = Canvas(200, 100, 10)
    sheet.text((x, 50), words, INK, bold=bold)
    half = canvas.text_width(words, 10, bold=bold) / 2
    at = float(re.search(r' x="([^"]+)"', sheet.markup())[1])
    assert half - 0.01 <= at <= 200 - half + 0.01
    assert at == pytest.approx(x, abs=0.01) or not half <= x <= 200 - half
