import random

import pytest

from generation_support import row
from posology.generation.checks import ADVICE, CHECKS, Limits, Subject, failures, real_openings
from posology.generation.material import Example
from posology.matching.near import NearRule, between
from posology.records import Message

GOOD = ("My refund for the boots has not come yet, can you check?", "It takes 5 working days, so it is due on Friday.")


def subject(*turns, roles=("user", "assistant"), limits=None, real=(), **changes):
    messages = tuple(Message(roles[n % len(roles)], text) for n, text in enumerate(turns))
    changes = {"turns": len(turns), "words": len(turns[0].split()) if turns else 1, **changes}
    return Subject(messages, row(**changes), (), limits or Limits(language="en"), real_openings(real))


def checks(*turns, **options):
    return [failure.check for failure in failures(subject(*turns, **options))]


def test_a_good_conversation_passes_all():
    assert checks(*GOOD) == []


@pytest.mark.parametrize(
    ("check", "turns", "options"),
    [
        ("roles", GOOD, {"roles": ("assistant", "user")}),
        ("roles", GOOD, {"roles": ("user", "user")}),
        ("roles", (*GOOD, "ok"), {"roles": ("user", "assistant", "system")}),
        ("roles", GOOD, {"roles": ("user", "narrator")}),
        ("turns", GOOD, {"turns": 6}),
        ("turns", GOOD[:1], {"turns": 2}),
        ("turns", GOOD, {"turns": 1}),
        ("turns", [f"turn number {n}" for n in range(24)], {}),
        ("length", ("word " * 200, GOOD[1]), {"words": 10}),
        ("length", ("ok", GOOD[1]), {"words": 90}),
        ("length", (GOOD[0], "x" * 5000), {}),
        ("empty_turn", (GOOD[0], "  \n"), {}),
        ("empty_turn", (GOOD[0], "\u200b\x00"), {}),
        ("repeated_turn", (*GOOD, GOOD[0] + "!!"), {}),
        ("language", ("Wo ist meine Bestellung? Ich habe sie noch nicht erhalten und bin nicht froh.", GOOD[1]), {}),
        ("language", (GOOD[0], "Ihre Bestellung ist auf dem Weg und wird morgen bei Ihnen sein."), {}),
        ("placeholder", ("Hi, I am [Name] and it is late", GOOD[1]), {}),
        ("placeholder", (GOOD[0], "Dear {{customer_name}}, it is on its way."), {}),
        ("placeholder", (GOOD[0], "Your order {order_number} is on its way."), {}),
        ("placeholder", (GOOD[0], "Your order <order number> is on its way."), {}),
        ("placeholder", (GOOD[0], "Call us on XXXX-XXXX."), {}),
        ("placeholder", (GOOD[0], "Dear [Your Name Here], it is late"), {}),
        ("disclaimer", (GOOD[0], "As an AI language model, I do not have access to orders."), {}),
        ("disclaimer", ("I'm sorry, but I can't assist with that request.",), {}),
        ("meta_talk", ("Here is the conversation you asked for:", GOOD[1]), {}),
        ("meta_talk", (GOOD[0], "Customer: thanks"), {}),
        ("meta_talk", (GOOD[0], "This is a synthetic conversation."), {}),
        ("markup", (GOOD[0], "## Steps\nFirst, wait."), {}),
        ("markup", (GOOD[0], "It takes **5 days**."), {}),
        ("markup", (GOOD[0], "It takes <b>5 days</b>."), {}),
        ("markup", (GOOD[0], "See [the page](https://example.com)."), {}),
        ("markup", (GOOD[0], "```\ncode\n```"), {}),
        ("copied_exact", ("Where is my REFUND - it has been two weeks now", GOOD[1]), {}),
        ("copied_exact", ("Please cancel everything", GOOD[1]), {"real": ["please cancel everything!"]}),
        ("copied_near", ("Where's my refund, it has been two weeks now?", GOOD[1]), {}),
        ("copied_near", ("hello", GOOD[1], "Where is my refund? It has been two weeks noww", "It is on its way."), {}),
    ],
)
def test_each_check_finds_what_it_is_for(check, turns, options):
    assert check in checks(*turns, **options)


@pytest.mark.parametrize(
    "opening",
    [
        "thanks!! can u help me out xxxx love you guys",
        "I get error [404] and [2] when I pay, what now?",
        "My order is 3 < 5 items & it's late :) #annoyed @shop",
        "I cannot create an account, it says e-mail known",
        "Note: I was charged twice. The first one is fine.",
        "Here's the message I get: card refused. What does it mean?",
        "I want to return 2 * 3 socks, is that ok?",
        "Is there an AI or can I talk to a person?",
        "i did what your previous instructions said and nothing works",
    ],
)
def test_messy_but_honest_messages_pass(opening):
    assert checks(opening, "It takes 5 working days, so it is due on Friday.") == []


def test_short_answers_may_equal_real_ones():
    examples = (Example("r1", "Customer: yes please\nAgent: ok\nCustomer: thanks a lot"),)
    turns = ("Could my refund be faster than that, somehow?", "Shall I ask?", "yes please", "Done.")
    assert checks(*turns, examples=examples) == []
    assert checks("yes please", "Done.", examples=examples) == ["copied_exact"]


def test_copies_are_those_that_matching_finds():
    rng = random.Random(5)
    example = "I was charged twice for the same pair of boots last week"
    for _ in range(60):
        letters = list(example)
        for _ in range(rng.randrange(0, 12)):
            letters[rng.randrange(len(letters))] = rng.choice("abcde ")
        text = "".join(letters)
        kinds = {match.kind for match in between([text], [example], rule=NearRule())}
        found = checks(text, GOOD[1], examples=(Example("r1", f"Customer: {example}"),))
        assert ("copied_exact" in found, "copied_near" in found) == ("exact" in kinds, "near" in kinds)


def test_any_language_may_be_accepted_and_unknown_ones_are_refused():
    german = ("Wo ist meine Bestellung? Ich habe sie noch nicht erhalten.", "Sie ist auf dem Weg.")
    assert checks(*german, limits=Limits()) == []
    assert checks(*german, limits=Limits(language="de")) == []
    with pytest.raises(ValueError, match="unknown language 'xx'"):
        Limits(language="xx")


def test_all_failures_are_told_and_none_quotes_the_text():
    found = failures(subject("**SECRET** [Name] as an AI", "## SECRET", turns=2))
    assert [failure.check for failure in found] == ["placeholder", "disclaimer", "markup"]
    assert not any("SECRET" in failure.detail for failure in found)


def test_no_turns_at_all_fail_without_an_error():
    assert "roles" in checks(turns=2)


def test_every_check_has_advice():
    assert CHECKS.keys() <= ADVICE.keys()


@pytest.mark.data
@pytest.mark.parametrize("name", ["banking77/real.jsonl", "twacs/labelled.jsonl"])
def test_real_conversations_hardly_ever_fail(data_folder, name):
    """A check that rejects what real people write would make generated data cleaner than real data."""
    from posology.conversations.reading import read

    conversations = read(data_folder / name).conversations
    failed = 0
    for conversation in conversations:
        wanted = row(turns=len(conversation.messages), words=len(conversation.messages[0].content.split()), examples=())
        found = failures(Subject(conversation.messages, wanted, (), Limits(language="en", max_turns=99)))
        failed += any(failure.check != "roles" for failure in found)
    assert failed <= 0.01 * len(conversations)
