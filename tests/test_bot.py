import pytest

import posology
from posology.bot import Bot
from posology.errors import UsageError
from support import talk

TOPICS = {"parcel": "where is my parcel", "refund": "i want my money back"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished sweep and a docs folder in which only one topic is named."""
    folder = tmp_path_factory.mktemp("bot")
    rows = [talk(f"{t}{i}", f"{text} {i * 7919}", t) for t, text in TOPICS.items() for i in range(15)]
    held = [talk(f"h{t}{i}", f"{text} hm {i * 104729}", t) for t, text in TOPICS.items() for i in range(12)]
    pool = [
        talk(f"s{t}{i}", f"so {text} {i * 1299709}", t, "synthetic") for t, text in TOPICS.items() for i in range(8)
    ]
    settings = {"embedding.encoder": "lexical", "sweep.learning_curve": False}
    posology.sweep(rows, pool, held, doses="0.2", seeds=1, out=folder / "run", settings=settings)
    docs = folder / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(
        "# Parcels\nTopic: parcel\n\nLook at the tracking page.\n\n# Getting money back\n\nmoney in 5 days\n"
    )
    return folder


def test_the_answer_has_topic_probability_and_the_section_of_the_topic(run):
    answer = Bot.open(run / "run", run / "docs").answer("where is the parcel?", top=1)
    assert answer.topics[0][0] == "parcel" and len(answer.topics) == 1
    assert answer.section.heading == "Parcels"
    assert answer.to_json()["section"]["file"] == "a.md"


def test_a_topic_that_no_section_names_gets_the_nearest(run):
    answer = Bot.open(run / "run", run / "docs").answer("i want my money back")
    assert answer.topics[0][0] == "refund" and answer.section.heading == "Getting money back"


def test_without_docs_there_is_no_section(run):
    assert Bot.open(run / "run").answer("parcel?").section is None


def test_one_variant_can_be_named(run):
    variant = next((run / "run" / "sweep" / "variants").iterdir())
    assert Bot.open(variant).answer("where is my parcel").topics[0][0] == "parcel"


def test_a_folder_without_a_variant_and_an_empty_message(run, tmp_path):
    with pytest.raises(UsageError, match="no trained variant"):
        Bot.open(tmp_path)
    with pytest.raises(UsageError, match="empty"):
        Bot.open(run / "run").answer("  ")
