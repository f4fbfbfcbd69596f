import json

import pytest

from posology.conversations.reading import read
from posology.errors import UsageError
from posology.mixture.export import ENDINGS, write_training_set
from posology.records import Conversation, Message, Mixture


def talk(id, source, **meta):
    turns = (Message("user", f"question {id}"), Message("assistant", "answer"))
    return Conversation(id, turns, "a|b" if id == "r0" else "c", source, meta)


@pytest.fixture
def mixture():
    real = tuple(talk(f"r{i}", "real") for i in range(3))
    synthetic = tuple(talk(f"s{i}", "synthetic", generator="model-x") for i in range(2))
    return Mixture(0.4, "selected", "augment", 0, real, synthetic, 1, 0.6)


@pytest.mark.parametrize("format", [f for f in ENDINGS if f != "text_label"])
def test_every_format_reads_back_with_its_topics(mixture, tmp_path, format):
    facts = write_training_set(mixture, tmp_path, format, rejected={})
    back = read(tmp_path / facts["file"]).conversations
    assert [c.topic for c in back] == [c.topic for c in mixture.conversations]
    if format != "trl":
        assert [c.source for c in back] == ["real"] * 3 + ["synthetic"] * 2


def test_text_label_holds_what_the_customer_says(tmp_path):
    rows = tuple(Conversation(f"r{i}", (Message("user", f"hello {i}"),), "a") for i in range(2))
    facts = write_training_set(Mixture(0, "selected", "augment", 0, rows, ()), tmp_path, "text_label", rejected={})
    assert [c.messages for c in read(tmp_path / facts["file"]).conversations] == [c.messages for c in rows]


def test_manifest_and_card_say_what_is_synthetic_and_how_it_was_checked(mixture, tmp_path):
    verdict = {"dose": 0.4, "status": "better", "reason": "Because."}
    write_training_set(
        mixture,
        tmp_path,
        "openai",
        rejected={"leaked_near": 7},
        verdict=verdict,
        licence="cc-by-4.0",
        intended_use="Tests.",
    )
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["n_real"], manifest["n_synthetic"], manifest["n_pool_short"]) == (3, 2, 1)
    assert manifest["generators"] == {"model-x": 2} and manifest["actual_dose"] == 0.4
    card = (tmp_path / "README.md").read_text()
    for words in (
        "3 real",
        "2 synthetic",
        "model-x: 2",
        "leaked_near: 7",
        "**better**. Because.",
        "cc-by-4.0",
        "Tests.",
        "| a\\|b | 1 | 0 |",
    ):
        assert words in card, words


def test_a_card_without_a_sweep_says_so(mixture, tmp_path):
    write_training_set(mixture, tmp_path, "csv", rejected={})
    card = (tmp_path / "README.md").read_text()
    assert "whether it helps was not measured" in card and "Licence: not stated" in card


def test_an_older_export_is_replaced(mixture, tmp_path):
    for _ in range(2):
        write_training_set(mixture, tmp_path, "hf", rejected={})
    assert len(read(tmp_path / "train").conversations) == 5


def test_an_unknown_format_is_bad_usage(mixture, tmp_path):
    with pytest.raises(UsageError, match="unknown format"):
        write_training_set(mixture, tmp_path, "xml", rejected={})
