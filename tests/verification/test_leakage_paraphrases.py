"""Paraphrases of multi-turn conversations, and when nothing can be told."""

import numpy as np
import pytest

from posology.embedding.embedder import Embedder
from posology.embedding.lexical import Lexical
from posology.errors import InputError
from posology.records import Conversation, Message, TextRule
from posology.verification.leakage.check import leakage
from posology.verification.leakage.paraphrases import Paraphrases, tells_apart

RULE = TextRule()
PLACES = (
    "Oslo Bergen Turin Malaga Quito Dakar Hanoi Perth Lyon Porto Basel Leeds Cork Gent Graz Riga Sofia Tunis".split()
)
THINGS = "kettle violin ladder pillow candle saddle mirror hammer basket lantern teapot blanket".split()


def told(id, place, thing, number, again=False):
    """A story of some forty words, or the same story in other words."""
    turns = (
        (
            f"Hello, the {thing} that I ordered from your shop in {place} has not come, the number is {number}",
            f"I am sorry to hear that, order {number} went out on Monday as far as I can see",
            "That was a week ago, could you please look where the parcel is now",
        ),
        (
            f"Hi, order {number} is missing: one {thing}, bought at the {place} shop, nothing has arrived yet",
            f"Sorry about this! We sent {number} on Monday according to our records",
            "Monday was seven days ago, please find out where my parcel is",
        ),
    )[again]
    roles = ("user", "assistant", "user")
    return Conversation(id, tuple(map(Message, roles, turns)), "missing")


def stories(n, seed):
    rng = np.random.default_rng(seed)
    return [
        told(f"{seed}-{k}", rng.choice(PLACES), rng.choice(THINGS), int(rng.integers(10_000, 99_999))) for k in range(n)
    ]


@pytest.fixture(scope="module")
def embed():
    return Embedder(Lexical(), rule=RULE).encode_texts


def test_details_identify_a_retold_conversation(embed):
    holdout = [told("h0", "Quito", "violin", 48213), told("h1", "Gent", "ladder", 77120), *stories(40, 1)]
    pool = [told("s0", "Quito", "violin", 48213, again=True), told("s1", "Dakar", "mirror", 60606, again=True)]
    real = [
        told(f"r{k}", c.messages[0].content.split()[10], "teapot", 11_111 + k, again=True)
        for k, c in enumerate(stories(250, 2))
    ]
    found = leakage(pool, holdout, real, rule=RULE, embed=embed)
    assert found.by_row and found.limits["paraphrase"].n == 250
    first, second = found.paraphrase
    assert (first.state, first.other_id) == ("fail", "h0") and first.score > first.threshold
    assert second.state == "pass" and second.score < second.threshold


def test_pairs_near_the_limit_are_in_doubt_until_they_are_settled(embed):
    holdout, real = stories(60, 3), stories(300, 4)
    pool = real  # whose scores are those that the limit is made of
    found = leakage(pool, holdout, real, rule=RULE, embed=embed)
    limit = found.limits["paraphrase"]
    near = [place for place, f in enumerate(found.paraphrase) if limit.low <= f.score <= limit.high]
    assert list(found.doubts) == near and near
    assert all(holdout[found.doubts[place]].id == found.paraphrase[place].other_id for place in near)
    first, *rest = near
    settled = found.settled({first: True} | dict.fromkeys(rest, False))
    assert settled.paraphrase[first].state == "fail" and settled.leaks[first] is not None
    assert {settled.paraphrase[place].state for place in rest} <= {"pass"} and not settled.doubts
    assert all(settled.paraphrase[place].detail.endswith("say the judges") for place in near)
    others = set(range(len(pool))) - set(near)
    assert all(settled.paraphrase[place] == found.paraphrase[place] for place in others)
    assert found.settled({}) == found
    with pytest.raises(ValueError, match="no doubt"):
        found.settled({min(others): True})


def test_short_messages_are_not_called(embed):
    single = [Conversation(f"m{k}", (Message("user", f"Where is parcel {k}?"),), "a") for k in range(250)]
    found = leakage(single[:5], single[5:50], single[50:], rule=RULE, embed=embed)
    assert not found.doubts and not found.by_row and {f.state for f in found.paraphrase} == {"unscored"}
    assert all("cannot tell" in f.detail for f in found.paraphrase)
    assert not tells_apart(single) and not tells_apart([]) and tells_apart(stories(5, 0))


def test_too_few_real_rows_or_words_say_nothing(embed):
    brief = Conversation("s", (Message("user", "Hello"), Message("assistant", "How can I help?")), "a")
    pool = [*stories(5, 6), brief]
    few = leakage(pool, stories(40, 7), stories(100, 8), rule=RULE, embed=embed)
    assert few.by_row and few.limits["paraphrase"] is None and {f.state for f in few.paraphrase} == {"unscored"}
    enough = leakage(pool, stories(40, 7), stories(250, 8), rule=RULE, embed=embed)
    assert enough.paraphrase[-1].state == "unscored" and enough.paraphrase[0].state != "unscored"
    alone = leakage(pool, stories(1, 7), stories(250, 8), rule=RULE, embed=embed)
    assert len(alone.paraphrase) == 6


def test_turns_are_aligned_in_order(embed):
    story = told("h", "Porto", "saddle", 31337)
    backwards = Conversation("b", story.messages[::-1])
    finder = Paraphrases([story], stories(30, 9), embed)
    same, turned = finder.nearest([story, backwards]).score
    assert same == pytest.approx(1.5, abs=1e-3) and turned < same - 0.3


def test_vectors_of_another_encoder_are_refused(embed):
    finder = Paraphrases(stories(5, 1), stories(5, 2), embed)
    finder._embed = lambda texts: np.ones((len(texts), 7), np.float32)
    with pytest.raises(InputError, match="one encoder"):
        finder.nearest(stories(2, 3))
