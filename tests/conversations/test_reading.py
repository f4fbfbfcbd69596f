import gzip
import hashlib
import json
import subprocess
import sys
import tracemalloc

import pytest

from posology.conversations.reading import FORMATS, BadRow, Columns, iterate, read
from posology.errors import InputError, UsageError
from posology.records import Conversation, Message


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chat(text="hi", topic="t", **fields):
    return {"messages": [{"role": "user", "content": text}], "topic": topic, **fields}


def only(path, **settings):
    (conversation,) = read(path, **settings).conversations
    return conversation


HI = (Message("user", "hi"),)
BOTH = (Message("user", "hi"), Message("assistant", "hello"))


@pytest.mark.parametrize(
    ("row", "messages", "format"),
    [
        (chat(), HI, "openai"),
        ({"conversations": [{"from": "human", "value": "hi"}], "topic": "t"}, HI, "sharegpt"),
        ({"messages": [{"from": "human", "value": "hi"}], "topic": "t"}, HI, "sharegpt"),
        ({"conversations": [{"role": "user", "content": "hi"}], "topic": "t"}, HI, "openai"),
        ({"prompt": "hi", "completion": "hello", "topic": "t"}, BOTH, "prompt_completion"),
        ({"prompt": "hi", "completion": None, "topic": "t"}, HI, "prompt_completion"),
        ({"prompt": [{"role": "user", "content": "hi"}], "completion": "hello", "topic": "t"}, BOTH, None),
        ({"prompt": '[{"role": "user", "content": "hi"}]', "completion": "hello", "topic": "t"}, BOTH, None),
        ({"prompt": "[urgent] hi", "topic": "t"}, (Message("user", "[urgent] hi"),), "prompt_completion"),
        ({"instruction": "hi", "input": "", "output": "hello", "topic": "t"}, BOTH, "alpaca"),
        ({"instruction": "a", "input": "b", "output": "", "topic": "t"}, (Message("user", "a\n\nb"),), "alpaca"),
        (
            {"instruction": "c", "output": "d", "history": [["a", "b"]], "system": "s", "topic": "t"},
            tuple(
                Message(*pair)
                for pair in [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
            ),
            "alpaca",
        ),
        ({"text": "hi", "label": "t"}, HI, "text_label"),
        ({"utterance": "hi", "intent": "t"}, HI, "text_label"),
        ({"query": "hi", "category": "t"}, HI, "text_label"),
        ({"message": "hi", "class": "t"}, HI, "text_label"),
        ({"Content": "hi", "Topic": "t"}, HI, "text_label"),
    ],
)
def test_layouts(tmp_path, row, messages, format):
    reading = read(lines(tmp_path / "data.jsonl", row))
    assert reading.conversations == (Conversation("data:1", messages, "t"),)
    assert format is None or reading.understood.format == format


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt", "a.csv", "a"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_json_lines_by_content(tmp_path, name, start, end):
    path = tmp_path / name
    path.write_bytes(start + (end + end + json.dumps(chat()) + end + "  " + end + json.dumps(chat())).encode())
    assert [c.id for c in read(path).conversations] == ["a:3", "a:5"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array(tmp_path, indent):
    path = tmp_path / "a.json"
    path.write_text("\ufeff" + json.dumps([chat("one"), chat("two")], indent=indent))
    assert [c.id for c in read(path).conversations] == ["a:1", "a:2"]
    assert [c.messages[0].content for c in read(path).conversations] == ["one", "two"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables_by_content(tmp_path, mark, end):
    path = tmp_path / "a.txt"
    path.write_bytes(
        b"\xef\xbb\xbf"
        + end.join(
            [f"Text{mark}Label{mark}mood", f'"a{mark} ""b""{end}c"{mark}t{mark}', "", f"d{mark}7{mark}sad"]
        ).encode()
    )
    first, second = read(path).conversations
    assert first == Conversation("a:2", (Message("user", f'a{mark} "b"{end}c'),), "t")
    assert second == Conversation("a:5", (Message("user", "d"),), "7", meta={"mood": "sad"})


def test_messages_in_a_cell_of_a_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('messages,topic\n"[{""role"": ""user"", ""content"": ""hi""}]",t\n')
    assert only(path) == Conversation("a:2", HI, "t")


def test_a_column_without_a_name_is_left_out(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",text,label\n0,hi,t\n")
    assert only(path).meta == {}


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.gz", "a.jsonl"])
def test_gzip_by_content(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(json.dumps(chat()).encode()))
    reading = read(path)
    assert reading.conversations == (Conversation("a:1", HI, "t"),)
    assert reading.understood.container.endswith("packed with gzip")
    assert reading.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_named_columns_win(tmp_path):
    path = lines(tmp_path / "a.jsonl", {"text": "no", "said": "hi", "label": "no", "about": "t", "id": 1, "key": "k"})
    conversation = only(path, columns=Columns(id="key", topic="about", text="said"))
    assert conversation == Conversation("k", HI, "t", meta={"text": "no", "label": "no", "id": 1})
    turns = lines(tmp_path / "b.jsonl", {"dialog": [{"from": "human", "value": "hi"}], "topic": "t"})
    assert only(turns, columns=Columns(messages="dialog")).messages == HI


def test_a_named_column_means_nothing_else(tmp_path):
    path = lines(tmp_path / "a.jsonl", {"label": "hi", "text": "t", "id": 1})
    assert only(path, columns=Columns(text="label", topic="text")) == Conversation("1", HI, "t")
    path = lines(tmp_path / "b.jsonl", {"query": "hi", "text": "t", "id": "u"})
    assert only(path, columns=Columns(topic="text")) == Conversation("u", HI, "t")
    assert only(path, columns=Columns(topic="id")) == Conversation(
        "b:1", (Message("user", "t"),), "u", meta={"query": "hi"}
    )
    with pytest.raises(InputError, match="has no topic"):
        read(lines(tmp_path / "c.jsonl", {"label": "hi"}), columns=Columns(text="label"))


def test_the_layout_most_rows_have_is_taken(tmp_path):
    path = lines(tmp_path / "a.jsonl", {"text": "hi", "topic": "t"}, chat(), chat())
    reading = read(path, on_error="skip")
    assert reading.understood.format == "openai"
    assert [row.line for row in reading.bad_rows] == [1]


def test_a_named_format_settles_it(tmp_path):
    path = lines(tmp_path / "a.jsonl", {**chat(), "text": "other", "label": "l"})
    assert only(path, format="text_label").messages == (Message("user", "other"),)
    assert only(path, format="trl").messages == HI
    with pytest.raises(InputError, match="has none of the columns prompt"):
        read(path, format="prompt_completion")


def test_a_named_container_settles_it(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("text,label\nhi,t\n")
    assert only(path, format="csv").messages == HI


@pytest.mark.parametrize(("given", "topic"), [(" refund ", "refund"), (7, "7"), (3.0, "3")])
def test_topics_are_texts(tmp_path, given, topic):
    assert only(lines(tmp_path / "a.jsonl", chat(topic=given))).topic == topic


def test_topics_may_be_missing_where_none_is_required(tmp_path):
    rows = [chat(topic=None), chat(topic=" "), chat(topic=["a", "b"]), {"messages": chat()["messages"]}]
    reading = read(lines(tmp_path / "a.jsonl", *rows), require_topic=False)
    assert [c.topic for c in reading.conversations] == [None] * 4
    assert reading.conversations[2].meta == {"topic": ["a", "b"]}
    assert reading.understood.without_topic == 4
    assert reading.understood.topics == 0


def test_an_id_or_topic_that_comes_late_counts(tmp_path):
    rows = [{"messages": chat()["messages"]}] * 150 + [chat(id="late", topic="t")]
    last = read(lines(tmp_path / "a.jsonl", *rows), require_topic=False).conversations[-1]
    assert (last.id, last.topic, last.meta) == ("late", "t", {})


def test_parts_of_an_instruction_that_come_late_count(tmp_path):
    rows = [{"instruction": "a", "output": "b", "topic": "t"}] * 120
    path = lines(tmp_path / "a.jsonl", *rows, {**rows[0], "system": "s"})
    assert read(path).conversations[-1].messages[0] == Message("system", "s")


def test_source(tmp_path):
    path = lines(tmp_path / "a.jsonl", chat(source="synthetic"), chat(source="real"), chat(source="twitter"), chat())
    conversations = read(path, source="synthetic").conversations
    assert [c.source for c in conversations] == ["synthetic", "real", "synthetic", "synthetic"]
    assert [dict(c.meta) for c in conversations] == [{}, {}, {"source": "twitter"}, {}]


def test_a_meta_object_is_spread_unless_names_meet(tmp_path):
    path = lines(tmp_path / "a.jsonl", chat(meta={"a": 1}, b=2), chat(meta={"b": 1}, b=2), chat(meta="x"))
    assert [dict(c.meta) for c in read(path).conversations] == [
        {"a": 1, "b": 2},
        {"meta": {"b": 1}, "b": 2},
        {"meta": "x"},
    ]


@pytest.mark.parametrize(("given", "made"), [("x-1", "x-1"), (12, "12"), (4.0, "4"), (None, "a:1"), ("", "a:1")])
def test_ids(tmp_path, given, made):
    assert only(lines(tmp_path / "a.v1.jsonl", chat(id=given))).id == made.replace("a:", "a.v1:")


def test_skipped_rows_are_reported(tmp_path):
    path = tmp_path / "a.jsonl"
    good = json.dumps(chat(id="x"))
    other = json.dumps(chat(id="y"))
    path.write_bytes(f'{good}\n{{"broken\n{other}\n{good}\n'.encode() + b'{"messages": "\xe9"}\n')
    with pytest.raises(InputError, match=r"3 of 5 rows cannot be read \(line 2: .*; line 4: .*; line 5: "):
        read(path, on_error="skip")
    path.write_bytes(path.read_bytes() + json.dumps(chat(id="z")).encode())
    reading = read(path, on_error="skip")
    assert [c.id for c in reading.conversations] == ["x", "y", "z"]
    assert [row.line for row in reading.bad_rows] == [2, 4, 5]
    assert reading.bad_rows[1] == BadRow(str(path), 4, "the id 'x' already stands on line 1.")
    assert "3 rows set aside" in reading.understood.lines
    assert [type(x).__name__ for x in iterate(path, on_error="skip")].count("BadRow") == 3


def test_what_was_understood(tmp_path):
    path = lines(
        tmp_path / "a.jsonl",
        chat(id="1"),
        {"id": "2", "topic": "u", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]},
        {"id": "3", "topic": "u", "messages": [{"role": "user", "content": "s"}, {"role": "tool", "content": "q"}]},
    )
    understood = read(path).understood
    assert understood.lines == (
        "OpenAI chat messages in JSON lines",
        "columns: messages from 'messages', topic from 'topic', id from 'id'",
        "3 conversations, 2 topics",
        "with a system message: 1",
        "with tool messages or calls: 1",
    )


def test_iterate_gives_the_same_and_checks_at_once(tmp_path):
    path = lines(tmp_path / "a.jsonl", *[chat(f"text {i}", id=i) for i in range(250)])
    assert tuple(iterate(path)) == read(path).conversations
    with pytest.raises(InputError):
        iterate(tmp_path / "none.jsonl")


def test_usage_errors(tmp_path):
    path = lines(tmp_path / "a.jsonl", chat())
    with pytest.raises(UsageError, match="Did you mean parquet"):
        read(path, format="parqet")
    with pytest.raises(UsageError, match="Known: auto"):
        read(path, format="???")
    with pytest.raises(UsageError, match="exclude each other"):
        read(path, columns=Columns(text="a", messages="b"))
    with pytest.raises(UsageError, match="no text column"):
        read(path, format="openai", columns=Columns(text="a"))
    with pytest.raises(UsageError, match="no messages column"):
        read(path, format="alpaca", columns=Columns(messages="a"))
    assert "auto" in FORMATS


def test_memory_hardly_grows_with_the_file(tmp_path):
    def peak(n):
        path = tmp_path / f"{n}.jsonl"
        path.write_text("".join(f'{{"id": "row-{i}", "text": "{"word " * 20}{i}", "label": "t"}}\n' for i in range(n)))
        tracemalloc.start()
        assert sum(1 for _ in iterate(path)) == n
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    few, many = peak(5_000), peak(25_000)
    assert many - few < 100 * 20_000


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from posology.conversations import reading, writing, docs;"
        "sys.exit(any(name in sys.modules for name in ('pyarrow', 'numpy', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
