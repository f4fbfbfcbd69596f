import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from posology.conversations.reading import read
from posology.errors import InputError
from posology.records import Conversation, Message

FEATURES = {"label": {"names": ["refund", "late"], "_type": "ClassLabel"}, "text": {"dtype": "string"}}
HI = (Message("user", "hi"),)


def save(folder, table, features=None, parts=1, state=True, as_file=False):
    folder.mkdir(parents=True)
    names = [f"data-{i:05d}-of-{parts:05d}.arrow" for i in range(parts)]
    size = -(-table.num_rows // parts)
    for i, name in enumerate(names):
        new = pa.ipc.new_file if as_file else pa.ipc.new_stream
        with new(str(folder / name), table.schema) as writer:
            writer.write_table(table.slice(i * size, size))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    if state:
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return folder


def chats(n):
    messages = [[{"role": "user", "content": f"text {i}", "name": None}] for i in range(n)]
    return pa.table({"messages": messages, "topic": ["t"] * n})


def test_parquet_in_many_batches(tmp_path):
    path = tmp_path / "a.data"
    parquet.write_table(chats(5000), path, row_group_size=700)
    reading = read(path)
    assert len(reading.conversations) == 5000
    assert reading.conversations[4321] == Conversation("a:4322", (Message("user", "text 4321"),), "t")
    assert reading.understood.container == "Parquet"


def test_nulls_that_arrow_fills_in_are_no_fields(tmp_path):
    call = {"id": "1", "function": {"name": "f", "arguments": None}}
    messages = [[{"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "tool_calls": [call]}]]
    parquet.write_table(pa.table({"messages": messages, "topic": ["t"], "mood": [None]}), tmp_path / "a")
    (conversation,) = read(tmp_path / "a").conversations
    assert conversation.messages[1] == Message(
        "assistant", "", {"tool_calls": [{"id": "1", "function": {"name": "f"}}]}
    )
    assert conversation.meta == {}


def test_columns_of_every_kind(tmp_path):
    import datetime
    import decimal

    table = pa.table(
        {
            "text": pa.array(["hi"]).dictionary_encode(),
            "label": pa.array([3.0]),
            "when": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
            "day": [datetime.date(2024, 2, 29)],
            "price": [decimal.Decimal("1.50")],
            "score": [float("nan")],
            "picture": [b"\xff\x00"],
            "tags": [["a", None]],
            "nested": [{"when": datetime.datetime(2024, 2, 29), "raw": b"x"}],  # noqa: DTZ001 - as files have it
        }
    )
    parquet.write_table(table, tmp_path / "a")
    (conversation,) = read(tmp_path / "a").conversations
    assert conversation.messages == HI
    assert conversation.topic == "3"
    meta = dict(conversation.meta)
    assert meta.pop("when").startswith("2023-11-14 22:13:20")
    assert meta == {
        "day": "2024-02-29",
        "price": "1.50",
        "tags": ["a", None],
        "nested": {"when": "2024-02-29 00:00:00", "raw": None},
    }
    json.dumps(meta, allow_nan=False)


def test_class_names_noted_in_a_parquet_file(tmp_path):
    table = pa.table({"text": ["hi", "ho"], "label": [1, 0]})
    note = json.dumps({"info": {"features": FEATURES}}).encode()
    parquet.write_table(table.replace_schema_metadata({b"huggingface": note}), tmp_path / "a")
    assert [c.topic for c in read(tmp_path / "a").conversations] == ["late", "refund"]


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_saved_dataset(tmp_path, parts, state, as_file):
    table = pa.table({"text": [f"text {i}" for i in range(7)], "label": [i % 2 for i in range(7)]})
    folder = save(tmp_path / "set.v1", table, FEATURES, parts, state, as_file)
    reading = read(folder)
    assert [c.id for c in reading.conversations] == [f"set.v1:{i}" for i in range(1, 8)]
    assert [c.topic for c in reading.conversations][:3] == ["refund", "late", "refund"]
    assert reading.understood.container == "a saved Hugging Face dataset"
    same, other = (
        save(tmp_path / name, t, FEATURES, parts, state, as_file) for name, t in [("b", table), ("c", table[1:])]
    )
    assert read(same).sha256 == reading.sha256
    assert read(other).sha256 != reading.sha256


def test_a_single_arrow_file(tmp_path):
    folder = save(tmp_path / "a", chats(3))
    assert len(read(next(folder.glob("*.arrow"))).conversations) == 3


def test_an_unknown_label_is_no_topic(tmp_path):
    table = pa.table({"text": ["hi", "ho"], "label": [-1, 1]})
    reading = read(save(tmp_path / "a", table, FEATURES), on_error="skip")
    assert [c.topic for c in reading.conversations] == ["late"]
    assert reading.bad_rows[0].line == 1


def test_a_label_beyond_the_names(tmp_path):
    folder = save(tmp_path / "a", pa.table({"text": ["hi"], "label": [5]}), FEATURES)
    with pytest.raises(InputError, match="has the class 5, but only 2 class names"):
        read(folder)


def test_a_dict_of_datasets(tmp_path):
    save(tmp_path / "d" / "train", chats(2))
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    assert len(read(tmp_path / "d").conversations) == 2
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InputError, match=r"2 splits: train, test.*d/train") as caught:
        read(tmp_path / "d")
    assert caught.value.exit_code == 2


def test_rows_are_named_by_number(tmp_path):
    table = pa.table({"text": ["hi", None, "hi"], "label": ["t", "t", "t"]})
    parquet.write_table(table, tmp_path / "a")
    with pytest.raises(InputError, match="line 2: no text"):
        read(tmp_path / "a")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_parquet_cut_short(tmp_path, keep):
    path = tmp_path / "a.parquet"
    parquet.write_table(chats(500), path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(InputError, match="damaged or cut short") as caught:
        read(path)
    assert caught.value.file == str(path)


def test_parquet_that_is_none(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"not at all")
    with pytest.raises(InputError, match="damaged or cut short"):
        read(path)


def test_packed_parquet(tmp_path):
    import gzip

    parquet.write_table(chats(2), tmp_path / "a")
    (tmp_path / "a.gz").write_bytes(gzip.compress((tmp_path / "a").read_bytes()))
    with pytest.raises(InputError, match="gunzip"):
        read(tmp_path / "a.gz")


def test_saved_datasets_that_are_damaged(tmp_path):
    folder = save(tmp_path / "a", chats(500), parts=2)
    _, second = sorted(folder.glob("*.arrow"))
    second.write_bytes(second.read_bytes()[:-900])
    with pytest.raises(InputError, match="damaged or cut short") as caught:
        read(folder)
    assert caught.value.file == str(second)
    second.unlink()
    with pytest.raises(InputError, match="a data file of the dataset is missing"):
        read(folder)
    (folder / "state.json").write_text("[")
    with pytest.raises(InputError, match="not a JSON object"):
        read(folder)


def test_wrong_offsets_do_not_crash(tmp_path):
    """Bytes of an Arrow buffer are used as offsets: one flipped must be found before it is followed."""
    folder = save(tmp_path / "a", chats(50))
    file = next(folder.glob("*.arrow"))
    whole = file.read_bytes()
    for place in range(len(whole) // 3, len(whole), 41):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x7F]) + whole[place + 1 :])
        try:
            read(folder, on_error="skip")
        except InputError:
            continue
