import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.gaps.signs import Misspellings, casing, dimensions, lengths, mood, register, turns, words
from posology.records import Conversation, Message, TextRule


def said(*texts):
    return Conversation("id", tuple(Message("user" if i % 2 == 0 else "assistant", t) for i, t in enumerate(texts)))


def test_words():
    assert words("Don\N{RIGHT SINGLE QUOTATION MARK}t pay €5 twice_now, Zoë!") == [
        "don't",
        "pay",
        "twice",
        "now",
        "zoë",
    ]
    assert words("123 ... 🙂") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Could you please assist me with my card?", "formal"),
        ("hey gonna need my card asap lol", "casual"),
        ("where is it???", "casual"),
        ("thx 🙂", "casual"),
        ("My card has not arrived", "plain"),
        ("", "plain"),
    ],
)
def test_register(text, expected):
    assert register(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("where is it", "lower"),
        ("WHERE IS IT", "upper"),
        ("Where is it", "normal"),
        ("?", "normal"),
        ("漢字", "normal"),
    ],
)
def test_casing(text, expected):
    assert casing(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This is great, thanks", "positive"),
        ("This is terrible", "negative"),
        ("I am not happy", "negative"),
        ("This isn't bad", "positive"),
        ("my card is not working", "negative"),
        ("is my card working", "neutral"),
        ("great, my card is lost and broken", "negative"),
        ("I need it right now", "urgent"),
        ("thanks, but it's urgent", "urgent"),
        ("", "neutral"),
    ],
)
def test_mood(text, expected):
    assert mood(text) == expected


def test_negation_reaches_three_words():
    assert mood("not at all really happy") == "positive"
    assert mood("not all that happy") == "negative"


@pytest.mark.parametrize(
    ("n", "expected"), [(1, "1 turn"), (2, "2 to 4 turns"), (4, "2 to 4 turns"), (5, "over 4 turns")]
)
def test_turns(n, expected):
    assert turns(said(*["hi"] * n)) == expected


def test_turns_of_others_do_not_count():
    assert turns(Conversation("id", (Message("system", "be kind"), Message("user", "hi")))) == "1 turn"


def test_lengths_are_thirds():
    values, names = lengths(["word " * n for n in range(1, 10)])
    assert names == ("up to 3 words", "4 to 6 words", "over 6 words")
    assert [values.count(name) for name in names] == [3, 3, 3]


@pytest.mark.parametrize("texts", [[], ["one two"], ["one two"] * 9, [""] * 4, ["a b", "a b c"] * 5])
def test_lengths_that_cannot_be_thirds(texts):
    values, names = lengths(texts)
    assert len(values) == len(texts)
    assert set(values) <= set(names)
    assert len(set(names)) == len(names)


def test_misspellings():
    good = ["the transfer to my account was declined"] * 5
    bad = ["tranfer", "transferr", "transffer", "acocunt", "transfor", "accounts", "declines", "zzzzzz", "card"]
    assert Misspellings.of([*good, *bad]).found == {"tranfer", "transferr", "transffer", "acocunt"}


def test_a_word_seen_twice_is_vocabulary():
    assert Misspellings.of(["transfer"] * 5 + ["tranfer"] * 2).found == frozenset()


def test_typos_by_text():
    spelling = Misspellings.of(["transfer"] * 5 + ["my tranfer"])
    assert spelling.value("my TRANFER please") == "with typos"
    assert spelling.value("my transfer please") == "without typos"


@given(st.lists(st.text(), max_size=8))
def test_any_text_has_every_sign(texts):
    found = dimensions([said(text) for text in texts], TextRule())
    assert list(found) == ["length", "register", "casing", "typos", "mood", "turns"]
    for values, possible in found.values():
        assert len(values) == len(texts)
        assert set(values) <= set(possible)


def test_the_agent_does_not_count():
    found = dimensions([said("where is my card", "SORRY!!! TERRIBLE")], TextRule())
    assert (found["mood"][0], found["casing"][0], found["register"][0]) == (["neutral"], ["lower"], ["plain"])
