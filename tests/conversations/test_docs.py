import json

import pytest

from posology.conversations.docs import read_catalog, read_docs
from posology.errors import InputError
from posology.records import DocSection


def docs(tmp_path, text, name="a.md"):
    (tmp_path / name).write_text(text)
    return [(section.heading, section.topic, section.text) for section in read_docs(tmp_path)]


def test_sections_and_topics(tmp_path):
    assert docs(
        tmp_path,
        "\ufeffPreface.\n\n# Title\n\n## Refunds ##\nTopic: refund\n\nOne.\n\nTwo.\n## Empty\n## Late\n"
        "**topics**: late , `lost`,\nThree.\n### Deeper\nFour.\n## Tone\nFive.\n",
    ) == [
        ("a", None, "Preface."),
        ("Refunds", "refund", "One.\n\nTwo."),
        ("Late", "late", "Three."),
        ("Late", "lost", "Three."),
        ("Deeper", "late", "Four."),
        ("Deeper", "lost", "Four."),
        ("Tone", None, "Five."),
    ]


def test_a_topic_above_all_headings_is_the_files(tmp_path):
    assert docs(tmp_path, "Topic: refund\n# One\nText.\n## Two\nTopic: late\nMore.\n") == [
        ("One", "refund", "Text."),
        ("Two", "late", "More."),
    ]


def test_underlined_headings(tmp_path):
    assert docs(tmp_path, "Title\n=====\nOne.\n\nPart\n----\nTopic: t\n- a\n---\n| x |\n---\nTwo.\n", "a.TXT") == [
        ("Title", None, "One."),
        ("Part", "t", "- a\n---\n| x |\n---\nTwo."),
    ]


def test_code_is_no_heading(tmp_path):
    assert docs(tmp_path, "# A\n```sh\n# not a heading\n~~~\n# nor this\n```\n# B\nText.\n") == [
        ("A", None, "```sh\n# not a heading\n~~~\n# nor this\n```"),
        ("B", None, "Text."),
    ]


def test_front_matter_is_left_out(tmp_path):
    assert docs(tmp_path, "---\ntitle: x\n---\n# A\nText.\n") == [("A", None, "Text.")]
    assert docs(tmp_path, "---\n# A\nText.\n") == [("a", None, "---"), ("A", None, "Text.")]


def test_words_that_only_begin_like_a_topic_line(tmp_path):
    assert docs(tmp_path, "# A\nTopical creams: none.\nOn the topic: yes.\n") == [
        ("A", None, "Topical creams: none.\nOn the topic: yes.")
    ]


def test_files_are_found_in_folders_and_sorted(tmp_path):
    for name in ("b.md", "sub/a.txt", "a.md", "sub/.hidden.md", ".git/c.md", "notes.rst"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# H\r\nTopic: same\r\nText.\r\n")
    assert read_docs(str(tmp_path)) == [
        DocSection(name, "H", "same", "Text.") for name in ("a.md", "b.md", "sub/a.txt")
    ]


def test_docs_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no text in"):
        read_docs(tmp_path)
    (tmp_path / "docs").mkdir()
    with pytest.raises(InputError, match=r"no such folder.*Did you mean docs"):
        read_docs(tmp_path / "dosc")
    (tmp_path / "docs" / "a.md").write_bytes(b"# A\ncaf\xe9\n")
    with pytest.raises(InputError, match=r"a\.md, line 2: is not UTF-8: byte 0xE9 at offset 7.*iconv"):
        read_docs(tmp_path / "docs")
    with pytest.raises(InputError, match="is a file, not a folder"):
        read_docs(tmp_path / "docs" / "a.md")


def catalog(tmp_path, text, name="c.csv"):
    (tmp_path / name).write_text(text)
    return read_catalog(tmp_path / name)


def test_a_catalog(tmp_path):
    assert catalog(tmp_path, "sku,Name,price\n1,Tent,9.00\n2, Bag ,\n") == [
        {"Name": "Tent", "sku": "1", "price": "9.00"},
        {"Name": "Bag", "sku": "2"},
    ]
    assert list(catalog(tmp_path, "sku\tproduct\n1\tTent\n", "c.tsv")[0]) == ["product", "sku"]
    rows = json.dumps({"title": "Tent", "tags": ["a"], "price": 9, "note": None})
    assert catalog(tmp_path, rows, "c.jsonl") == [{"title": "Tent", "tags": '["a"]', "price": "9"}]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("sku,price\n1,2\n", r"line 2: has no column with the product's name. Columns found: 'sku', 'price'"),
        ("name\nTent\n", "no column besides 'name'"),
        ("name,price\nTent,1\n,2\n", "line 3: the product has no 'name'"),
        ("name,price\n", "has no rows"),
        ("name,price\nTent\n", "line 2: the row has 1 cell"),
        ("", "is empty"),
    ],
)
def test_catalogs_that_cannot_be_read(tmp_path, text, cause):
    with pytest.raises(InputError, match=cause):
        catalog(tmp_path, text)
