import numpy as np
import pytest

from posology.records import Conversation, DocSection, Message
from posology.verification.endings import FEWEST, Truncated

SUBJECTS = "my parcel|the second parcel|our tent|the new jacket|this torch|my membership card".split("|")
ENDS = (
    "has not arrived yet.|is still at the depot and nobody answers the phone.|was delivered to a neighbour.|"
    "came with a broken zip, can you help?|should be sent to another address.|does not fit me at all."
).split("|")


def real(n=300, seed=0):
    rng = np.random.default_rng(seed)
    texts = [f"Hello, {SUBJECTS[rng.integers(6)]} {ENDS[rng.integers(6)]}" for _ in range(n)]
    return [Conversation(f"r{i}", (Message("user", text),), "t") for i, text in enumerate(texts)]


def said(*texts):
    return [Conversation(f"c{i}", (Message("user", text),), "t", "synthetic") for i, text in enumerate(texts)]


def test_what_breaks_off_fails_and_what_ends_passes():
    pool = said(
        "Hello, my parcel has not arr", "Hello, our tent came with a", "Hello, the new jacket was delivered to",
        *(c.messages[0].content for c in real(60, seed=1)),
    )  # fmt: skip
    found = Truncated(real())(pool)
    assert [f.state for f in found[:3]] == ["fail"] * 3
    assert sum(f.state == "fail" for f in found[3:]) <= 2
    assert all(0 <= f.score <= 1 for f in found)


def test_the_last_turn_counts():
    turns = (Message("user", "Hello, my parcel has not arrived yet."), Message("assistant", "Sorry, I will look in"))
    whole = (turns[0], Message("assistant", "Hello, our tent does not fit me at all."))
    pool = [Conversation("a", turns, "t", "synthetic"), Conversation("b", whole, "t", "synthetic")]
    assert [f.state for f in Truncated(real())(pool)] == ["fail", "pass"]


def test_too_little_real_data_says_nothing():
    found = Truncated(real(FEWEST - 1))(said("Hello, my par"))
    assert [f.state for f in found] == ["unscored"]


def test_one_candidate_an_empty_one_and_none():
    check = Truncated(real(), [DocSection("a.md", "A", None, "Parcels are delivered.")])
    assert check(said("Hello, my parcel has not arr"))[0].state == "fail"
    assert check(said("  "))[0].state == "unscored"
    assert check([]) == []


def test_equal_input_gives_equal_scores():
    pool = said("Hello, my parcel has not arr", "Hello, our tent is late.")
    assert Truncated(real())(pool) == Truncated(real())(pool)


@pytest.mark.data
def test_real_messages_pass(data_folder):
    from posology.conversations.reading import read

    rows = list(read(data_folder / "banking77" / "real.jsonl").conversations)
    found = Truncated(rows[:1200])(rows[1200:1600])
    assert sum(f.state == "fail" for f in found) <= 12


def test_turns_that_are_too_short_to_be_cut_teach_nothing():
    short = [Conversation(f"r{i}", (Message("user", "ok"),), "t") for i in range(300)]
    assert [f.state for f in Truncated(short)(said("fine", "good"))] == ["unscored", "unscored"]
