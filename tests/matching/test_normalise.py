import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.matching.normalise import normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Where is\tmy CARD?! ", "where is my card"),
        ("Refund £40.50, please…", "refund 40 50 please"),
        ("top-up", "top up"),
        ("Straße", "strasse"),
        ("\uff23\uff21\uff32\uff24\u3000\uff11\uff12", "card 12"),
        ("cafe\u0301", "café"),
        ("soft\u00adhyphen and zero\u200bwidth", "softhyphen and zerowidth"),
        ("thanks ❤\ufe0f", "thanks"),
        ("line\nbreak\x00here", "line break here"),
        ("कार्ड", "कार्ड"),
        ("", ""),
    ],
)
def test_folds_what_carries_no_meaning(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize("text", ["👍🏽", "❤\ufe0f", "???", "\ud83d"])
def test_nothing_but_symbols_stays_as_it_is(text):
    assert normalise(f"  {text}\n") == text


def test_different_emoji_stay_different():
    assert normalise("😀") != normalise("😡")


@given(st.text())
def test_is_a_fixed_point_and_has_no_stray_white_space(text):
    once = normalise(text)
    assert once == once.strip()
    assert normalise(once) == once


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0xFF), min_size=1))
def test_letters_and_digits_survive(text):
    assert " " not in normalise(text)
    assert normalise(text)
