"""Every way in which a file can be wrong: the error names the place and the remedy, and repeats nobody's words."""

import gzip
import json
import os
import random

import pytest

from posology.conversations.reading import Columns, read
from posology.errors import InputError

SECRET = "my card was stolen in Lisbon"
GOOD = {"id": "good", "messages": [{"role": "user", "content": SECRET}], "topic": "t"}


def fault(path, **settings):
    with pytest.raises(InputError) as caught:
        read(path, **settings)
    assert "stolen" not in str(caught.value).replace(str(path), "")
    assert caught.value.remedy
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2
    return caught.value


def row(**changes):
    changed = {**GOOD, "id": "other", **changes}
    return {key: value for key, value in changed.items() if value is not ...}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"messages": ...}, "the row has no 'messages'"),
        ({"messages": None}, "the row has no 'messages'"),
        ({"messages": []}, "'messages' is an empty list"),
        ({"messages": {}}, "'messages' is an object, not a list"),
        ({"messages": SECRET}, "'messages' holds no list of turns"),
        ({"messages": [{"role": "user", "content": " "}]}, "no text in its only message"),
        ({"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": None}]}, "in 2 messages"),
        ({"messages": [{"role": "narrator", "content": SECRET}]}, "message 1 has the role 'narrator'"),
        ({"messages": [{"role": SECRET, "content": SECRET}]}, "message 1 has the role <28 characters>"),
        ({"topic": ...}, "the row has no topic in 'topic'"),
        ({"topic": None}, "the row has no topic in 'topic'"),
        ({"topic": "  "}, "the row has no topic in 'topic'"),
        ({"topic": ["a"]}, "the topic in 'topic' is a list"),
        ({"topic": True}, "the topic in 'topic' is true or false"),
        ({"topic": 1.5}, "the topic in 'topic' is a number"),
        ({"id": ["a"]}, "the id is a list"),
        ({"id": "good"}, "the id 'good' already stands on line 1"),
    ],
)
def test_rows_of_json_lines(tmp_path, changes, cause):
    path = tmp_path / "a.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\n{json.dumps(row(**changes))}\n")
    error = fault(path)
    assert cause in error.message
    assert (error.file, error.line) == (str(path), 3)
    assert [bad.line for bad in read(path, on_error="skip").bad_rows] == [3]


@pytest.mark.parametrize(
    ("raw", "cause", "line"),
    [
        (b'{"messages": [{"role"; "user"', "broken JSON at column 22", 1),
        (b'{"messages": [', "broken JSON at column 15", 1),
        (b'{"id": 1} {"id": 2}', "broken JSON at column 11: Something follows", 1),
        (b"{\n", "broken JSON at column 2", 1),
        (b'\n{"a": "caf\xe9 stolen"}', "byte 0xE9 at offset 11 (probably LATIN1)", 2),
        (b'{"a": "\x93stolen\x94"}', "byte 0x93 at offset 7 (probably WINDOWS-1252)", 1),
        (b'{"a": "\xe2\x82', "in the middle of a character", 1),
        (b'"stolen"\n{}', "the row is a text, not an object", 1),
        (b"[stolen]", "broken JSON at column 2", None),
        (b"[1]", "the row is a number, not an object", 1),
        (b"[]", "has no rows", None),
        (b'[\n{"a": "\xe9"}]', "byte 0xE9 at offset 9", 2),
    ],
)
def test_broken_json(tmp_path, raw, cause, line):
    path = tmp_path / "a.jsonl"
    path.write_bytes(raw)
    error = fault(path)
    assert cause in str(error)
    assert error.line == line


def test_other_encodings_say_how_to_convert(tmp_path):
    path = tmp_path / "my data.jsonl"
    path.write_bytes('{"a": "é"}'.encode("latin-1"))
    assert f"iconv -f LATIN1 -t UTF-8 '{path}' > '{tmp_path / 'my data.utf8.jsonl'}'" in fault(path).remedy


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_wide_encodings(tmp_path, encoding, name):
    path = tmp_path / name
    path.write_bytes(json.dumps(GOOD).encode(encoding))
    error = fault(path)
    assert "is not UTF-8: byte 0x" in str(error)
    assert f"iconv -f {encoding.upper().replace('16-', '16')}" in error.remedy


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n\n", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"PK\x03\x04rest", "ZIP archive or an Excel workbook"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"ab\x00\xff\x02" * 9, "a binary file"),
        (gzip.compress(json.dumps(GOOD).encode())[:-12], "cut short"),
        (b"\x1f\x8bnot really", "damaged"),
        (gzip.compress(os.urandom(300_000))[:200_000], None),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json.gz"])
def test_files_that_hold_no_rows(tmp_path, raw, cause, name):
    path = tmp_path / name
    path.write_bytes(raw)
    assert (cause or "") in str(fault(path))
    fault(path, on_error="skip")


def test_gzip_cut_short_far_into_the_file(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    rng = random.Random(1)
    rows = [json.dumps(row(id=i, noise=rng.getrandbits(400))) for i in range(3000)]
    packed = gzip.compress("\n".join(rows).encode())
    path.write_bytes(packed[: len(packed) // 2])
    assert "cut short" in str(fault(path))
    assert "cut short" in str(fault(path, on_error="skip"))


def test_a_missing_file_suggests_its_neighbours(tmp_path):
    (tmp_path / "real.jsonl").touch()
    assert "Did you mean real.jsonl?" in fault(tmp_path / "rael.jsonl").remedy
    assert "does not exist either" in fault(tmp_path / "none" / "a.jsonl").remedy
    assert "Check the spelling" in fault(tmp_path / "zzz.csv").remedy


def test_what_is_neither_file_nor_folder(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert "neither a file nor a folder" in str(fault(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(GOOD))
    path.chmod(0)
    assert "Permission denied" in str(fault(path))


def test_folders_of_others(tmp_path):
    assert "Give a data file" in fault(tmp_path).remedy
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.parquet").touch()
    (tmp_path / "a.csv").touch()
    assert "a.csv, data/train.parquet" in fault(tmp_path).remedy


@pytest.mark.parametrize(
    ("text", "cause", "line"),
    [
        ("text,label\nhi,t\nhi\n", "the row has 1 cell, the header has 2", 3),
        ("text,label\nhi,t\n\nstolen, in Lisbon,t\n", "the row has 3 cells, the header has 2", 4),
        ('text,label\n"a\nb",t\n"stolen" yes,t\n', "the quotes of the row do not match", 4),
        ('text,label\nhi,t\n"my card was stolen,t\nhi,t\n', "never closed", 3),
        ("text,label\nhi,t\n,t\n", "no text in its only message", 3),
        ("text,label\nhi,t\nhi,\n", "the row has no topic in 'label'", 3),
        ("text,label,text\nhi,t,u\n", "names the column 'text' twice", 1),
        ("text,label\n", "has no rows", None),
        ("text\nhi\n", "has no topic: none of the columns topic, label_text, label", None),
        ("utterances;labels\nhi;t\n", "Columns found: 'utterances', 'labels'", None),
    ],
)
def test_tables(tmp_path, text, cause, line):
    path = tmp_path / "a.csv"
    path.write_text(text)
    error = fault(path)
    assert cause in error.message
    assert error.line == line


def test_tables_that_are_not_utf8(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nhi,t\nol\xe1,t\n".encode("latin-1"))
    error = fault(path)
    assert "byte 0xE1 at offset 18" in str(error)
    assert error.line == 3


def test_columns_that_are_not_known_name_the_flags(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("customer said,about\nhi,t\n")
    error = fault(path)
    assert "'customer said', 'about'" in str(error)
    for flag in ("--text-column", "--topic-column", "--messages-column", "--id-column"):
        assert flag in error.remedy


def test_a_table_without_a_header_repeats_no_words(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"{SECRET},t\nanother question,u\n")
    error = fault(path)
    assert "<28 characters>" in str(error)
    assert "must be a header" in error.remedy


@pytest.mark.parametrize("columns", [Columns(text="said"), Columns(topic="said"), Columns(id="said")])
def test_named_columns_that_are_not_there(tmp_path, columns):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(GOOD))
    assert "has no column 'said'" in str(fault(path, columns=columns))


def test_more_bad_rows_than_good_ones_are_too_many(tmp_path):
    path = tmp_path / "a.jsonl"
    good = json.dumps(GOOD)
    path.write_text("\n".join([good, "{", "[", "x", "stolen"]))
    error = fault(path, on_error="skip")
    assert "4 of 5 rows cannot be read (line 2: broken JSON" in str(error)
    assert str(error).count("line ") == 4
    path.write_text("\n".join([good, "{"]))
    assert len(read(path, on_error="skip").bad_rows) == 1
    path.write_text("{\n{\n")
    assert "all of the first 2 rows cannot be read" in str(fault(path, on_error="skip"))


def test_damage_anywhere_is_an_input_error_or_harmless(tmp_path):
    rng = random.Random(7)
    rows = "\n".join(json.dumps(row(id=i)) for i in range(6)).encode()
    table = b'id,text,label\n1,"a ""b""\nc",t\n2,d,u\n3,e,u\n'
    for whole in (rows, table, gzip.compress(rows), b"[" + rows.replace(b"\n", b",\n") + b"]"):
        for _ in range(150):
            raw = bytearray(whole)
            place = rng.randrange(len(raw))
            raw[place : place + rng.choice([0, 1, 1, 5, len(raw)])] = bytes(
                rng.randrange(256) for _ in range(rng.randrange(3))
            )
            path = tmp_path / "a.data"
            path.write_bytes(bytes(raw))
            for on_error in ("fail", "skip"):
                try:
                    read(path, on_error=on_error)
                except InputError as error:
                    assert "stolen" not in str(error)
