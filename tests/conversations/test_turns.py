import json

import pytest

from posology.conversations.faults import RowFault
from posology.conversations.turns import messages_of, require_text
from posology.records import Message


def one(turn):
    (message,) = messages_of([turn], "messages")
    return message


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool", "function"])
def test_roles_of_the_chat_format_stay(role):
    assert one({"role": role, "content": "x"}) == Message(role, "x")


@pytest.mark.parametrize(
    ("spelt", "role"),
    [
        ("human", "user"),
        ("user", "user"),
        ("gpt", "assistant"),
        ("assistant", "assistant"),
        ("bot", "assistant"),
        ("system", "system"),
        ("tool", "tool"),
        ("function", "tool"),
        ("observation", "tool"),
    ],
)
def test_sharegpt_names_of_roles(spelt, role):
    assert one({"from": spelt, "value": "x"}) == Message(role, "x")


def test_case_and_space_around_a_role_do_not_matter():
    assert one({"role": " User ", "content": "x"}) == Message("user", "x")


def test_other_fields_and_missing_content_survive():
    call = [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}]
    assert one({"role": "assistant", "content": None, "tool_calls": call}) == Message(
        "assistant", "", {"content": None, "tool_calls": call}
    )
    assert one({"role": "assistant", "tool_calls": call}) == Message("assistant", "", {"tool_calls": call})
    assert one({"role": "tool", "content": "42", "tool_call_id": "c1", "name": "find"}).extra == {
        "tool_call_id": "c1",
        "name": "find",
    }


def test_parts_are_joined_and_kept():
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "u"}}, "here"]
    assert one({"role": "user", "content": parts}) == Message("user", "look\nhere", {"content": parts})


@pytest.mark.parametrize("arguments", [{"id": 7}, '{"id": 7}'])
def test_a_function_call_becomes_a_tool_call(arguments):
    message = one({"from": "function_call", "value": json.dumps({"name": "find", "arguments": arguments})})
    assert message.role == "assistant"
    assert message.extra["content"] is None
    (call,) = message.extra["tool_calls"]
    assert call["function"]["name"] == "find"
    assert json.loads(call["function"]["arguments"]) == {"id": 7}


@pytest.mark.parametrize("value", ["let me look that up", "[]", "{}", "[1]"])
def test_a_function_call_that_is_none_stays_text(value):
    assert one({"from": "function_call", "value": value}) == Message("assistant", value, {})


def test_lists_of_roles_and_contents_are_turned_round():
    turns = {"role": ["user", "assistant"], "content": ["x", "y"]}
    assert messages_of(turns, "messages") == (Message("user", "x"), Message("assistant", "y"))
    with pytest.raises(RowFault, match="is an object"):
        messages_of({**turns, "name": ["z"]}, "messages")


def test_a_field_that_only_looks_packed_stays():
    assert one({"role": "user", "content": "x", "extra_json": "{oops"}).extra == {"extra_json": "{oops"}


def test_a_cell_with_json_is_parsed():
    assert messages_of('[{"role": "user", "content": "x"}]', "messages") == (Message("user", "x"),)


@pytest.mark.parametrize(
    ("turns", "cause"),
    [
        (None, "has no 'messages'"),
        ([], "is an empty list"),
        ({"role": "user"}, "is an object, not a list"),
        (7, "is a number, not a list"),
        ("hello", "holds no list of turns: broken JSON"),
        (["hello"], "message 1 is a text, not an object"),
        ([{"content": "x"}], "message 1 has no role"),
        ([{"role": "user", "content": "x"}, {"role": "narrator", "content": "y"}], "message 2 has the role 'narrator'"),
        ([{"role": 3, "content": "x"}], "message 1 has the role 3"),
        ([{"role": ["user"], "content": "x"}], "message 1 has the role <a list>"),
        ([{"role": "user", "content": 5}], "the content of message 1 is a number"),
        ([{"role": "user", "content": {"text": "x"}}], "the content of message 1 is an object"),
        ([{"role": "user", "content": [5]}], "has a part that is a number"),
    ],
)
def test_faults_name_the_message(turns, cause):
    with pytest.raises(RowFault) as fault:
        messages_of(turns, "messages")
    assert cause in fault.value.reason


def test_an_unknown_role_lists_the_known_ones():
    with pytest.raises(RowFault) as fault:
        one({"role": "narrator", "content": "x"})
    assert all(role in fault.value.remedy for role in ("user", "assistant", "tool", "gpt", "human"))


def test_a_role_that_is_a_sentence_is_not_repeated():
    with pytest.raises(RowFault) as fault:
        one({"role": "my card was stolen yesterday", "content": "x"})
    assert "stolen" not in str(fault.value)


def test_a_list_printed_by_python_is_told_apart():
    with pytest.raises(RowFault) as fault:
        messages_of("[{'role': 'user', 'content': 'x'}]", "messages")
    assert "json.dumps" in fault.value.remedy


def test_text_in_any_turn_is_enough():
    require_text((Message("user", " "), Message("assistant", "x")))
    with pytest.raises(RowFault, match="no text in 2 messages"):
        require_text((Message("user", " \n"), Message("assistant", "")))
