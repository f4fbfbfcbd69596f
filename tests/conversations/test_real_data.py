"""The readers and writers on real conversations."""

import os
from pathlib import Path

import pytest

from posology.conversations.docs import read_catalog, read_docs
from posology.conversations.reading import read
from posology.conversations.writing import write

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("POSOLOGY_DATA" not in os.environ, reason="POSOLOGY_DATA is not set"),
]


@pytest.fixture
def data():
    return Path(os.environ["POSOLOGY_DATA"])


def test_single_messages(data):
    reading = read(data / "banking77" / "real.jsonl")
    assert (reading.understood.rows, reading.understood.topics) == (2000, 77)
    assert reading.understood.format == "openai"


def test_blank_candidates_are_set_aside(data):
    reading = read(data / "banking77" / "synthetic" / "smollm2.jsonl", source="synthetic", on_error="skip")
    assert len(reading.conversations) + len(reading.bad_rows) == 2820
    assert reading.bad_rows
    assert {row.reason for row in reading.bad_rows} == {"no text in its only message."}
    assert {c.source for c in reading.conversations} == {"synthetic"}


@pytest.mark.parametrize("format", ["openai", "sharegpt", "prompt_completion", "csv", "parquet", "hf"])
def test_dialogues_come_back(data, tmp_path, format):
    conversations = read(data / "twacs" / "labelled.jsonl").conversations
    write(conversations, tmp_path / "a", format)
    assert read(tmp_path / "a").conversations == conversations


def test_unlabelled_dialogues(data):
    reading = read(data / "twacs" / "unlabelled.jsonl", require_topic=False)
    assert (reading.understood.rows, reading.understood.without_topic) == (8000, 8000)


def test_docs_and_catalog(data):
    topics = {c.topic for c in read(data / "banking77" / "real.jsonl").conversations}
    assert {section.topic for section in read_docs(data / "banking77" / "docs")} - {None} == topics
    assert len(read_catalog(data / "banking77" / "catalog.csv")) == 14
