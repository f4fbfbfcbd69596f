"""Recovery of damaged replies, on a corpus that is made here: 500 replies with 25 kinds of damage, 20 of each."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posology.llm.recovery import Unrecoverable, recover

TURN = {
    "type": "object",
    "properties": {"role": {"type": "string"}, "content": {"type": "string"}},
    "required": ["role", "content"],
}
DIALOGUE = {
    "type": "object",
    "properties": {"messages": {"type": "array", "items": TURN, "minItems": 1}},
    "required": ["messages"],
}
MESSAGE = {"type": "object", "properties": {"message": {"type": "string", "minLength": 1}}, "required": ["message"]}

CONTENTS = (
    "Hi, where's my parcel? It's 3 days late.",
    "I was charged £12.50 twice: once on 3/4, once on 4/4 (see order AB-1).",
    "The site says: your card, ending 1234, was declined, why?",
    "Hello!\nI'd like to return these boots.\n\nThanks,\nJo",
    "Größe 42 passt nicht, können Sie helfen? 😀",
    "Sorry about that. I've checked, and it isn't dispatched yet [step: packing].",
    "ok {thanks}",
    "Is it true that none of the codes work? null, I mean nothing happens",
    "C:\\temp is where I saved the invoice",
    "No, true story, it never arrived; // still waiting # really",
)


def reply(rng):
    n = int(rng.integers(1, 6))
    turns = [("user", "assistant")[i % 2] for i in range(n)]
    return {"messages": [{"role": role, "content": str(rng.choice(CONTENTS))} for role in turns]}


def plain_words(rng):
    """A reply without anything that is special to JSON in it, for damage that would be ambiguous otherwise."""
    words = "my order never came and nobody answers please tell me what to do now".split()
    turns = [{"role": "user", "content": " ".join(rng.choice(words, 8))} for _ in range(int(rng.integers(1, 5)))]
    return {"messages": turns}


def python_literal(value):
    return repr(value)


def single_quotes(value):
    return re.sub(r'(?<=[\[{ ])"|"(?=[:,\]}])', "'", json.dumps(value, ensure_ascii=False))


def inner_quotes(value):
    """Quotation marks that are not escaped; the value gets them too."""
    text = dumped(value)
    for turn in value["messages"]:
        words = turn["content"].split()
        quoted = " ".join([*words[:3], f'"{words[3]}"', *words[4:]])
        text = text.replace(turn["content"], quoted, 1)
        turn["content"] = quoted
    return text


def dumped(value, **kwargs):
    return json.dumps(value, ensure_ascii=False, **kwargs)


DAMAGE = {
    "fence": lambda v: f"```json\n{dumped(v, indent=2)}\n```",
    "bare fence": lambda v: f"```\n{dumped(v)}\n```",
    "open fence": lambda v: f"```json\n{dumped(v)}",
    "prose before": lambda v: f"Sure! Here is the conversation (as asked):\n\n{dumped(v)}",
    "prose after": lambda v: f"{dumped(v)}\n\nLet me know if you'd like another one: I can {{also}} vary it.",
    "prose around a fence": lambda v: f"Of course.\n```json\n{dumped(v, indent=1)}\n```\nHope [that] helps!",
    "thoughts": lambda v: f"<think>They want {{json}}. [ok]</think>\n{dumped(v)}",
    "byte order mark": lambda v: f"\ufeff{dumped(v)}",
    "trailing comma": lambda v: re.sub(r"\}\]\}$", "},]}", dumped(v)),
    "trailing commas": lambda v: re.sub(r'"\}', '",}', re.sub(r"\}\]\}$", "}, ],\n}", dumped(v))),
    "single quotes": single_quotes,
    "python literal": python_literal,
    "python words": lambda v: repr({**v, "resolved": True, "note": None}),
    "line breaks in strings": lambda v: dumped(v).replace("\\n", "\n"),
    "tabs in strings": lambda v: dumped(v).replace(", ", ",\t"),
    "double encoded": lambda v: dumped(dumped(v)),
    "bare list": lambda v: dumped(v["messages"]),
    "ascii escapes": lambda v: f"Here: {json.dumps(v)}",
    "extra closing bracket": lambda v: dumped(v) + "}",
    "comments": lambda v: dumped(v, indent=1).replace("[", "[ // the turns", 1),
    "stray backslashes": lambda v: dumped(v).replace("'", "\\'"),
    "missing comma": None,
    "unquoted keys": None,
    "typographic quotes": None,
    "quotes in strings": None,
}
ON_PLAIN_WORDS = {
    "missing comma": lambda v: dumped(v, indent=1).replace("},\n", "}\n").replace('",\n', '"\n'),
    "unquoted keys": lambda v: re.sub(r'"(\w+)":', r"\1:", dumped(v)),
    "typographic quotes": lambda v: re.sub(r'"([^"]*)"', r"“\1”", dumped(v)),
    "quotes in strings": inner_quotes,
}


def corpus():
    """500 damaged replies: kind of damage, what was meant, and the damaged text."""
    rng = np.random.default_rng(7)
    cases = []
    for kind, damage in DAMAGE.items():
        for _ in range(20):
            value = plain_words(rng) if damage is None else reply(rng)
            text = (damage or ON_PLAIN_WORDS[kind])(value)
            cases.append((kind, value, text))
    return cases


def test_at_least_99_percent_of_500_damaged_replies_are_recovered_to_the_letter():
    cases = corpus()
    assert len(cases) == 500
    failed = []
    for kind, value, text in cases:
        try:
            got = recover(text, DIALOGUE).value["messages"]
        except Unrecoverable as error:
            failed.append((kind, error.failure))
            continue
        # A recovery that succeeds must be right: same roles, same letters, in every turn.
        assert [t["role"] for t in got] == [t["role"] for t in value["messages"]], kind
        assert [t["content"].split() for t in got] == [t["content"].split() for t in value["messages"]], kind
    assert len(failed) <= 5, failed


def test_no_truncated_reply_is_ever_recovered():
    rng = np.random.default_rng(11)
    for kind, _, text in corpus():
        if kind in ("open fence", "prose after", "extra closing bracket", "prose around a fence", "double encoded"):
            continue  # their tails are not part of the JSON
        body = text.removesuffix("\n```").rstrip()
        end = max(body.rfind("}"), body.rfind("]"))
        begin = min(place for mark in "{[" if (place := text.find(mark, text.find("</think>") + 1)) >= 0)
        for cut in rng.integers(begin, end, 6):
            with pytest.raises(Unrecoverable):
                recover(text[: int(cut)], DIALOGUE)


def test_every_cut_of_a_reply_is_refused():
    for text, schema in (
        (
            dumped({"messages": [{"role": "user", "content": "is it {here} :} ]"}, {"role": "a", "content": 'a "b"'}]}),
            DIALOGUE,
        ),
        (dumped({"message": 'smile :} and ]} or \\ and "so" it\'s'}), MESSAGE),
        (repr({"message": "smile :} and"}), MESSAGE),
        ("{message: 'one two :}'}", MESSAGE),
    ):
        for cut in range(len(text)):
            with pytest.raises(Unrecoverable):
                recover(text[:cut], schema)


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("", "no_json"),
        ("I cannot help with that.", "no_json"),
        ('{"messages": [{"role": "user", "content": "hi"}', "truncated"),
        ('{"messages": [{"role": "user", "content": "hi', "truncated"),
        ('{"messages": "hi"}', "schema"),
        ('{"messages": []}', "schema"),
        ('{"messages": [{"role": "user"}]}', "schema"),
        ("[" * 5000 + '"a"' + "]" * 5000, "broken"),
        ('{"messages": [{"role": "user", "content": "a", "content": "b"}]}', "broken"),
    ],
)
def test_what_cannot_be_recovered_is_named(text, failure):
    with pytest.raises(Unrecoverable) as caught:
        recover(text, DIALOGUE)
    assert caught.value.failure == failure


def test_the_reason_never_quotes_the_reply():
    with pytest.raises(Unrecoverable) as caught:
        recover('{"messages": "SECRET-WORDS"}', DIALOGUE)
    assert "SECRET" not in str(caught.value) and "SECRET" not in caught.value.detail


def test_a_lone_half_of_an_emoji_becomes_writable():
    value = recover('{"message": "hi \\ud83d"}', MESSAGE).value
    assert value["message"].encode() == "hi \ufffd".encode()


def test_a_heading_in_a_text_is_no_comment():
    text = '{"message": "one\n# two\nthree",}'
    assert recover(text, MESSAGE).value == {"message": "one\n# two\nthree"}


def test_of_two_answers_the_first_that_fits_is_taken():
    assert recover('{"draft": 1} then {"message": "final"}', MESSAGE).value == {"message": "final"}


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_intact_json_comes_back_as_it_is_and_damaged_json_never_changed(content):
    value = {"message": content}
    got = recover(json.dumps(value), MESSAGE)
    assert got.way == "strict"
    assert got.value["message"] == content
    try:
        loose = recover(f"```\n{json.dumps(value, ensure_ascii=False)[:-1]},}}\n```", MESSAGE)
    except Unrecoverable:
        return
    assert [c for c in loose.value["message"] if c.isalnum()] == [c for c in content if c.isalnum()]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}[]\":,\\'ab \n", max_size=80))
def test_no_text_whatever_breaks_it(text):
    try:
        value = recover(text, MESSAGE).value
    except Unrecoverable:
        return
    assert isinstance(value["message"], str)
