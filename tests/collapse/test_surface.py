import pytest

from posology.collapse import surface
from posology.collapse.table import full_names


def row(*turns):
    return dict(zip(surface.COLUMNS, surface.row_features(turns, len(turns)), strict=True))


def test_mood_and_arousal_go_the_right_way():
    angry, calm = row("This is RIDICULOUS, the worst service ever!!!"), row("My card has not come yet.")
    happy = row("Thank you, this is wonderful")
    assert angry["mood"] < calm["mood"] < happy["mood"]
    assert angry["arousal"] > happy["arousal"] > calm["arousal"]
    assert -1 < angry["mood"] < 0 < angry["arousal"] < 1


def test_a_negation_turns_a_mood_round():
    assert row("I am not happy with this")["mood"] < 0 < row("I am happy with this")["mood"]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("frustrated", "I have been waiting for three hours and still nothing"),
        ("frustrated", "fed up with this"),
        ("incoherent", "where is my bag and the and"),
        ("incoherent", "so i was was going there"),
        ("sarcastic", "Great job losing my bag again"),
        ("sarcastic", "oh how lovely, another delay"),
        ("polite", "Could you please help me?"),
        ("shouting", "WHERE is my bag"),
        ("lower_case", "where is my bag"),
        ("unpunctuated", "Where is my bag"),
        ("exclamations", "My bag!"),
        ("questions", "My bag?"),
        ("repeated_marks", "My bag?!"),
        ("emoji", "My bag \N{PERSEVERING FACE}"),
        ("links", "@shop where is my bag"),
        ("digits", "My bag since 3 days."),
        ("fragments", "My bag."),
    ],
)
def test_signs_are_seen_and_absent_from_a_plain_sentence(column, text):
    plain = "The parcel that was sent to my old address did arrive."
    assert row(text)[column] > row(plain)[column]


def test_shares_are_of_turns():
    assert row("Fed up with this.", "The card is in my wallet now.")["frustrated"] == 0.5


@pytest.mark.parametrize("turns", [(), ("",), ("...",), ("\N{PERSEVERING FACE}",), ("12 34",)])
def test_texts_without_words_have_features_too(turns):
    assert all(abs(value) < 10 for value in row(*turns).values())


def test_typos_are_what_no_other_real_row_spells_so():
    rows = [["payment"]] * 5 + [["paymnet"], ["payment"], ["paymnt", "payment"], ["paymnet"]]
    found = surface.misspelt_rows(rows, 7)
    assert found[5]  # a real row is judged by the others, although it holds the word itself
    assert found[7]
    assert not found[8]  # a real row spells it so too, so it may be a word of theirs
    assert not found[0]


def test_words_of_documents_are_no_typos():
    rows = [["payment"]] * 5 + [["paymnt"]]
    assert surface.misspelt_rows(rows, 5)[5]
    assert not surface.misspelt_rows(rows, 5, ["paymnt"])[5]


def test_names():
    assert full_names("Hello, I'm Emily Carter from Leeds.") == ["emily carter"]
    assert full_names("my name is joe bloggs") == ["joe bloggs"]
    assert full_names("The Card. My Account is closed") == []
