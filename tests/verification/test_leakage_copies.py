"""Copies and near copies, and how real rows set the limit."""

import numpy as np
import pytest
from tests.support import talk

from posology.records import Conversation, Message, TextRule
from posology.verification.leakage.check import leakage

RULE = TextRule()
HELD = [
    talk("h0", "My card was swallowed by the machine in front of the station, what now?"),
    talk("h1", "Why is my transfer to Norway still pending after nine days?"),
    talk("h2", "How do I top up?"),
]
NOUNS = (
    "kettle garden violin ladder pillow bridge candle rocket turnip saddle mirror hammer basket window tunnel".split()
)
VERBS = "paint borrow bury polish carry repair measure forget collect insure".split()


def honest(n, seed=0):
    """Real rows that come near nothing."""
    rng = np.random.default_rng(seed)
    pick = lambda words: words[rng.integers(len(words))]  # noqa: E731
    return [talk(f"r{k}", f"{pick(VERBS)} {pick(NOUNS)} {pick(VERBS)} {pick(NOUNS)} {pick(NOUNS)}") for k in range(n)]


def check(*pool, holdout=HELD, real=None, rule=RULE):
    return leakage(pool, holdout, honest(200) if real is None else real, rule=rule)


def states(found):
    return [(leak.check, leak.other_id) if leak else None for leak in found.leaks]


def test_copies_are_found_whatever_their_case_and_punctuation():
    found = check(
        talk("s0", "my CARD was swallowed by the machine, in front of the station. What now"), talk("s1", "hello")
    )
    assert states(found) == [("leaked_exact", "h0"), None]
    assert [finding.check for finding in found.exact] == ["leaked_exact", "leaked_exact"]
    assert found.exact[0].score == 1.0 and found.exact[1].state == "pass"


@pytest.mark.parametrize(
    "text",
    [
        "My card got swallowed by the machine in front of the station, what now?",
        "My crad was swallowed by the machnie in front of the station, what now?",
        "What now? My card was swallowed by the machine in front of the station",
        "My card was swallowed by the machine in front of the station, what now? Thank you so much!",
        "Hello, a customer of many years here. My card was swallowed by the machine in front of the station, what now? "
        "I looked at the help pages first but they only speak of online payments and nothing else.",
    ],
)
def test_near_copies_are_found(text):
    found = check(talk("s0", text))
    assert states(found) == [("leaked_near", "h0")]
    assert found.near[0].score >= found.near[0].threshold and "swallowed" not in found.near[0].detail


def test_what_is_usual_among_real_rows_is_no_copy():
    pool = talk("s0", "How do I top it up now?")
    usual = [
        talk(f"u{k}", f"How do I top up{end}?") for k, end in enumerate((" it", " this", " now", " my", " here") * 5)
    ]
    assert states(check(pool)) == [("leaked_near", "h2")]
    assert states(check(pool, real=[*honest(200), *usual])) == [None]


def test_without_real_rows_a_fixed_limit_decides():
    found = check(
        talk("s0", "Why is my transfer to Norway still pending after six days?"),
        talk("s1", "Why is my transfer to Sweden pending after so many days?"),
        real=(),
    )
    assert states(found) == [("leaked_near", "h1"), None]
    assert found.near[0].threshold == 0.7 and found.limits["wording"] is None and found.whole_set is None


def test_a_rate_of_real_rows_is_rejected_by_their_own_limit():
    rng = np.random.default_rng(3)
    words = np.array([*NOUNS, *VERBS, "my", "the", "is", "a"])
    rows = [talk(f"x{k}", " ".join(rng.choice(words, size=5))) for k in range(1500)]
    holdout, real, others = rows[:300], rows[300:900], rows[900:]
    found = leakage(others, holdout, real, rule=RULE)
    near = [k for k, finding in enumerate(found.near) if finding.state == "fail"]
    below_twins = [k for k in near if found.near[k].score < 0.6]
    assert len(below_twins) / len(others) < 0.09  # 5 % and chance


def test_a_copied_turn_counts_unless_it_is_a_stock_phrase():
    turns = lambda *texts: tuple(Message("user", text) for text in texts)  # noqa: E731
    holdout = [
        Conversation(
            "h", turns("Hi", "The blue kettle from order nine leaks at the handle", "Many thanks for all of your help")
        )
    ]
    pool = [
        Conversation("s0", turns("Good day", "the blue kettle from order nine leaks at the handle!", "what can I do")),
        Conversation("s1", turns("Where is my garden hose that I paid for", "Many thanks for all of your help")),
    ]
    real = [
        *honest(200),
        Conversation("r", turns("My ladder broke when I stood on it", "Many thanks for all of your help")),
    ]
    assert states(leakage(pool, holdout, real, rule=RULE)) == [("leaked_exact", "h"), None]


def test_a_row_without_text_is_not_judged_and_one_held_out_row_is_enough():
    silent = Conversation("s0", (Message("assistant", "Hello"),))
    found = check(silent, talk("s1", "Why is my transfer to Norway still pending after nine days?"), holdout=HELD[1:2])
    assert [finding.state for finding in found.exact] == ["unscored", "fail"]
    assert found.near[0].state == "unscored"
    assert states(check(talk("s", "hello"), holdout=[])) == [None]
    assert check(holdout=HELD).leaks == []


def test_same_input_same_findings_and_other_roles():
    pool = [talk("s0", "My card was eaten by the machine in front of the station, what now?"), *honest(50, seed=4)]
    assert check(*pool) == check(*pool)
    asked = Conversation("s", (Message("user", "hm"), Message("assistant", HELD[0].messages[0].content)))
    told = Conversation("h", (Message("user", "so"), Message("assistant", HELD[0].messages[0].content)))
    both = TextRule(("user", "assistant"))
    assert states(check(asked, holdout=[told])) == [None]
    assert states(check(asked, holdout=[told], rule=both)) == [("leaked_exact", "h")]
