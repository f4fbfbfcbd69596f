import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.report import formatting as fmt


def spaced(text):
    """With plain blanks, so that expectations can be read."""
    return text.replace(fmt.NBSP, " ")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (fmt.percent(0.864), "86.4 %"),
        (fmt.percent(None), "–"),  # noqa: RUF001
        (fmt.percent(1.0, 0), "100 %"),
        (fmt.number(0.745), "74.5"),
        (fmt.points(0.15), "+15.0 points"),
        (fmt.points(-0.021), "\u22122.1 points"),
        (fmt.signed(0.0), "0.0"),
        (fmt.signed(-0.0004), "0.0"),
        (fmt.signed(0.35, 0), "+35"),
        (fmt.span(0.061), "6.1 points"),
        (fmt.interval([0.105, 0.2]), "[10.5, 20.0]"),
        (fmt.interval([-0.021, 0.05]), "[\u22122.1, 5.0]"),
        (fmt.interval(None), ""),
        (fmt.dose(0.3), "30 %"),
        (fmt.dose(0.299965), "30 %"),
        (fmt.dose(0.075), "7.5 %"),
        (fmt.dose(0.0), "0 %"),
        (fmt.count(2000), "2,000"),
        (fmt.count(None), "–"),  # noqa: RUF001
        (fmt.decimal(1204.5), "1,204.5"),
        (fmt.decimal(2.0), "2"),
        (fmt.p_value(0.0000001), "<0.001"),
        (fmt.p_value(0.0342), "0.034"),
        (fmt.p_value(0.41), "0.41"),
        (fmt.p_value(1.0), "1"),
        (fmt.p_value(None), "–"),  # noqa: RUF001
        (fmt.money(2560.0, "$"), "$2,560"),
        (fmt.money(3.2, "USD"), "$3.20"),
        (fmt.money(2560.4, "CHF"), "2,560 CHF"),
        (fmt.money(-12.5, "eur"), "\u2212€12.50"),
        (fmt.money(4.0, ""), "4"),
        (fmt.money(None, "$"), "–"),  # noqa: RUF001
        (fmt.seconds(0.44), "0.4 s"),
        (fmt.seconds(75.2), "75 s"),
        (fmt.seconds(725), "12 min 05 s"),
        (fmt.seconds(7800), "2 h 10 min"),
        (fmt.clip("two\n lines", 20), "two lines"),
        (fmt.clip("abcdef", 4), "abc…"),
        (fmt.plural(1, "topic"), "1 topic"),
        (fmt.plural(77, "topic"), "77 topics"),
        (fmt.plural(2, "of these", "of those"), "2 of those"),
        (fmt.listing(["a"]), "a"),
        (fmt.listing(["a", "b", "c"]), "a, b and c"),
        (fmt.listing([]), ""),
    ],
)
def test_numbers_are_written_for_people(said, expected):
    assert spaced(said) == expected


@given(st.floats(-1, 1))
def test_a_difference_carries_its_sign_or_rounds_to_zero(difference):
    said = fmt.signed(difference)
    value = float(said.replace(fmt.MINUS, "-"))
    assert value == pytest.approx(round(difference * 100, 1), abs=0.051)
    assert said[0] == ("+" if value > 0 else fmt.MINUS if value < 0 else "0")


@given(st.text(max_size=60), st.integers(1, 30))
def test_clipped_text_is_one_line_of_the_length(text, length):
    said = fmt.clip(text, length)
    assert len(said) <= length
    assert "\n" not in said
