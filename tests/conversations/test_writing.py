import csv
import gzip
import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posology.conversations.reading import read
from posology.conversations.writing import FORMATS, write
from posology.errors import StoreError, UsageError
from posology.records import Conversation, Message, TextRule

quickly = settings(
    database=None, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

words = st.text(min_size=1, max_size=12).filter(str.strip)
labels = words.map(str.strip)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(
    ["persona", "mood", "text", "label", "category", "meta", "source", "messages", "Topic", "prompt"]
)
metas = st.dictionaries(names | st.text(min_size=1, max_size=5), values, max_size=3).filter(
    lambda meta: meta.get("source") not in ("real", "synthetic") and not {"id", "topic"} & meta.keys()
)
extras = st.dictionaries(st.sampled_from(["name", "tool_calls", "tool_call_id", "weight"]), values, max_size=2)


@st.composite
def messages(draw, roles=("system", "developer", "user", "assistant", "tool")):
    role, extra = draw(st.sampled_from(roles)), dict(draw(extras))
    if draw(st.integers(0, 4)) == 0:
        part = draw(words)
        return Message(role, part, {**extra, "content": [{"type": "text", "text": part}]})
    if draw(st.integers(0, 4)) == 0:
        return Message(role, "", {**extra, "content": None})
    return Message(role, draw(st.text(max_size=12)), extra)


def has_text(turns):
    return any(turn.content.strip() for turn in turns)


turns = st.lists(messages(), min_size=1, max_size=4).map(tuple).filter(has_text)
plain_turns = words.map(lambda text: (Message("user", text),))


def corpora(spoken=turns):
    one = st.tuples(spoken, st.none() | labels, st.sampled_from(["real", "synthetic"]), metas)
    return st.lists(one, min_size=1, max_size=5).map(
        lambda rows: tuple(Conversation(f"row {i}", *row) for i, row in enumerate(rows))
    )


def back(conversations, path, format):
    assert write(conversations, path, format) == len(conversations)
    return read(path, format=format, require_topic=False).conversations


@pytest.mark.parametrize("format", ["openai", "prompt_completion", "sharegpt", "csv", "tsv", "parquet"])
@given(conversations=corpora())
@quickly
def test_formats_that_hold_everything(tmp_path, format, conversations):
    assert back(conversations, tmp_path / "a", format) == conversations


@given(conversations=corpora())
@settings(parent=quickly, max_examples=15)
def test_folders_hold_everything(tmp_path, conversations):
    assert back(conversations, tmp_path / "a", "hf") == conversations


@pytest.mark.parametrize("format", ["csv", "tsv", "text_label", "alpaca"])
@given(conversations=corpora(plain_turns))
@quickly
def test_single_messages_come_back_from_texts(tmp_path, format, conversations):
    assert back(conversations, tmp_path / "a.gz", format) == conversations


@given(conversations=corpora())
@quickly
def test_trl_holds_messages_and_topics(tmp_path, conversations):
    got = back(conversations, tmp_path / "a", "trl")
    assert [(c.messages, c.topic) for c in got] == [(c.messages, c.topic) for c in conversations]
    rows = map(json.loads, (tmp_path / "a").read_bytes().splitlines())
    assert {key for row in rows for key in row} == {"messages", "topic"}


@given(conversations=corpora(st.lists(messages(("system", "user", "assistant", "tool")), min_size=1).map(tuple)))
@quickly
def test_alpaca_holds_what_both_sides_say(tmp_path, conversations):
    spoken = [c for c in conversations if has_text([m for m in c.messages if m.role in ("user", "assistant")])]
    if not spoken:
        with pytest.raises(UsageError, match="no turn of a customer or an agent"):
            write([Conversation("x", (Message("system", "s"),), "t")], tmp_path / "a", "alpaca")
        return
    got = back(spoken, tmp_path / "a", "alpaca")
    for side in ("user", "assistant", "system"):
        rule = lambda c, side=side: "\n".join(m.content for m in c.messages if m.role == side and m.content)  # noqa: E731
        assert [rule(c) for c in got] == [rule(c) for c in spoken]
    assert [(c.id, c.topic, c.source, c.meta) for c in got] == [(c.id, c.topic, c.source, c.meta) for c in spoken]


def test_alpaca_keeps_alternating_turns():
    from posology.conversations.shapes import alpaca

    spoken = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("user", "d"), ("assistant", "e")]
    row = alpaca(Conversation("x", tuple(Message(*turn) for turn in spoken), "t"))
    assert row == {
        "id": "x",
        "instruction": "c\nd",
        "input": "",
        "output": "e",
        "system": "s",
        "history": [["a", "b"]],
        "topic": "t",
        "source": "real",
    }


def test_text_label_holds_the_customer(tmp_path):
    talk = Conversation("x", (Message("user", "a"), Message("assistant", "b"), Message("user", "c")), "t")
    (got,) = back([talk], tmp_path / "a", "text_label")
    assert got.messages == (Message("user", TextRule().text(talk)),)
    with pytest.raises(UsageError, match="'y' has no turn of a customer"):
        write([talk, Conversation("y", (Message("assistant", "b"),), "t")], tmp_path / "a", "text_label")
    assert back([talk], tmp_path / "a", "text_label") == (got,)


def test_sharegpt_turns(tmp_path):
    talk = Conversation("x", tuple(Message(*t) for t in [("user", "a"), ("assistant", "b"), ("tool", "c")]), "t")
    write([talk], tmp_path / "a", "sharegpt")
    assert json.loads((tmp_path / "a").read_text())["conversations"] == [
        {"from": "human", "value": "a"},
        {"from": "gpt", "value": "b"},
        {"from": "tool", "value": "c"},
    ]


def test_tables_have_the_columns_they_need(tmp_path):
    def header(path):
        return next(csv.reader(path.read_text().splitlines()))

    plain = Conversation("x", (Message("user", "a"),), "t")
    write([plain], tmp_path / "a", "csv")
    assert header(tmp_path / "a") == ["id", "text", "label", "source"]
    write([plain, Conversation("y", (Message("assistant", "a"),), "t", meta={"k": 1})], tmp_path / "a", "csv")
    assert header(tmp_path / "a") == ["id", "messages", "label", "source", "meta"]


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_make_a_whole_file(tmp_path, format):
    assert write([], tmp_path / "a", format) == 0
    assert (tmp_path / "a").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_same_rows_give_the_same_bytes(tmp_path, format):
    talk = [Conversation(str(i), (Message("user", "a" * i),), "t", meta={"k": i}) for i in range(1, 40)]
    suffix = "" if format in ("parquet", "hf") else ".gz"
    digests = set()
    for name in ("a", "b"):
        path = tmp_path / (name + suffix)
        write(iter(talk), path, format)
        files = [path] if path.is_file() else sorted(path.iterdir())
        digests.add(hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest())
    assert len(digests) == 1


def test_packed_if_the_path_says_so(tmp_path):
    write([Conversation("x", (Message("user", "a"),), "t")], tmp_path / "a.jsonl.gz")
    assert json.loads(gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()))["id"] == "x"


@pytest.mark.parametrize("format", FORMATS)
def test_a_failure_leaves_what_was_there(tmp_path, format):
    talk = Conversation("x", (Message("user", "a"),), "t")

    def broken():
        yield talk
        raise RuntimeError("the source broke")

    write([talk], tmp_path / "a", format)
    with pytest.raises(RuntimeError):
        write(broken(), tmp_path / "a", format)
    assert len(read(tmp_path / "a", format=format).conversations) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_folders_replace_only_their_like(tmp_path):
    talk = [Conversation("x", (Message("user", "a"),), "t")]
    folder = tmp_path / "set"
    write(talk, folder, "hf")
    write(talk * 1, folder, "hf")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is no saved dataset"):
        write(talk, folder, "hf")
    assert (folder / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is no saved dataset"):
        write(talk, tmp_path / "file", "hf")


@pytest.mark.parametrize("format", FORMATS)
def test_a_path_that_cannot_be_written(tmp_path, format):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        write([Conversation("x", (Message("user", "a"),), "t")], tmp_path / "file" / "a", format)


def test_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="Did you mean parquet"):
        write([], tmp_path / "a", "parqet")
    for format in ("parquet", "hf"):
        with pytest.raises(UsageError, match=r"Leave out the \.gz"):
            write([], tmp_path / "a.gz", format)


def test_the_datasets_package_opens_the_folder(tmp_path):
    datasets = pytest.importorskip("datasets")
    talk = [Conversation(str(i), (Message("user", "a"),), "t", meta={"k": i}) for i in range(3)]
    write(talk, tmp_path / "a", "hf")
    loaded = datasets.load_from_disk(str(tmp_path / "a"))
    assert loaded.column_names == ["id", "messages", "topic", "source", "meta"]
    assert loaded[2]["messages"][0]["content"] == "a"
    loaded.save_to_disk(str(tmp_path / "b"))
    assert read(tmp_path / "b").conversations == tuple(talk)
