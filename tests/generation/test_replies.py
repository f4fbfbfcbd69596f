import json

import pytest

from generation_support import dialogue, reply
from posology.generation.replies import SCHEMAS, Unreadable, read_reply, read_turn
from posology.llm.schema import problem


def turns(draft):
    return [(message.role, message.content) for message in draft.messages]


def test_a_dialogue_is_read_and_names_of_roles_are_translated():
    assert turns(read_reply(reply(dialogue("hi", "hello")), "dialogue")) == [("user", "hi"), ("assistant", "hello")]
    named = json.dumps({"messages": [{"role": "Customer", "content": " hi "}, {"role": "agent", "content": "hello"}]})
    draft = read_reply(reply(f"```json\n{named}\n```"), "dialogue")
    assert turns(draft) == [("user", "hi"), ("assistant", "hello")]
    assert draft.way == "strict"


def test_a_message_and_a_continued_list_are_read():
    assert turns(read_reply(reply('{"message": "hi there"}'), "message")) == [("user", "hi there")]
    for text in (" hi there\n- another\n-", "- hi there", ' "hi there"', "\n\n hi there"):
        assert turns(read_reply(reply(text), "continuation")) == [("user", "hi there")]
    assert turns(read_reply(reply(" \n"), "continuation")) == [("user", "")]


@pytest.mark.parametrize("mode", ["dialogue", "message", "continuation"])
def test_cut_replies_are_never_read_however_whole_they_look(mode):
    whole = {"dialogue": dialogue("hi", "hello"), "message": '{"message": "hi"}', "continuation": "hi"}[mode]
    with pytest.raises(Unreadable) as caught:
        read_reply(reply(whole, "length"), mode)
    assert caught.value.reason == "truncated"
    with pytest.raises(Unreadable) as caught:
        read_reply(reply(whole, "refused"), mode)
    assert caught.value.reason == "refused"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("I can't do that.", "no_json"), ('{"messages": [{"role": "user"', "truncated"), ('{"message": "hi"}', "schema")],
)
def test_what_is_no_dialogue_is_named(text, reason):
    with pytest.raises(Unreadable) as caught:
        read_reply(reply(text), "dialogue")
    assert caught.value.reason == reason


@pytest.mark.parametrize("text", ["hello", "Agent: hello", ' "hello" ', "Customer:\nhello"])
def test_a_turn_is_plain_text(text):
    assert read_turn(reply(text)) == "hello"


@pytest.mark.parametrize(("text", "finish", "reason"), [("", "stop", "empty_turn"), ("hi", "length", "truncated")])
def test_a_turn_may_be_unusable(text, finish, reason):
    with pytest.raises(Unreadable) as caught:
        read_turn(reply(text, finish))
    assert caught.value.reason == reason


def test_the_schemas_hold_what_they_should():
    assert problem(json.loads(dialogue("a", "b")), SCHEMAS["dialogue"]) is None
    assert problem({"messages": [{"role": "narrator", "content": "a"}]}, SCHEMAS["dialogue"])
    assert problem({"message": "a", "more": 1}, SCHEMAS["message"])
    assert SCHEMAS["turns"] is SCHEMAS["continuation"] is None


@pytest.mark.parametrize(
    ("value", "schema", "wrong"),
    [
        (True, {"type": "integer"}, True),
        (1, {"type": "boolean"}, True),
        (1, {"type": "number"}, False),
        (None, {"type": "null"}, False),
        ([1], {"type": "array", "items": {"type": "string"}}, True),
        ([], {"type": "array", "minItems": 1}, True),
        ([1, 2], {"type": "array", "maxItems": 1}, True),
        ("", {"type": "string", "minLength": 1}, True),
        ({}, {"type": "object", "required": ["a"]}, True),
    ],
)
def test_the_schema_check(value, schema, wrong):
    assert (problem(value, schema) is not None) == wrong


def test_an_unknown_keyword_is_no_silent_pass():
    with pytest.raises(ValueError, match="pattern"):
        problem("a", {"type": "string", "pattern": "b"})
