"""The sample shop is what its README says."""

import csv
import json
from collections import Counter

import pytest

from posology.conversations.docs import read_catalog, read_docs
from posology.conversations.reading import read
from posology.matching.near import NearRule, between
from posology.records import TextRule


@pytest.mark.parametrize(
    ("name", "n", "source"), [("real", 400, "real"), ("holdout", 360, "real"), ("synthetic", 400, "synthetic")]
)
def test_sizes_topics_and_turns(shop, name, n, source):
    conversations = read(shop / f"{name}.jsonl", source=source).conversations
    assert len(conversations) == n
    assert len({c.topic for c in conversations}) == 16
    assert sum(len(c.messages) >= 4 for c in conversations) > n / 2
    assert all(c.messages[0].role == "user" for c in conversations)


def test_real_data_is_long_tailed(shop):
    sizes = sorted(Counter(c.topic for c in read(shop / "real.jsonl").conversations).values())
    assert sizes[0] == 3 and sizes[-1] == 70


def test_nothing_stands_on_both_sides(shop):
    rule = TextRule()
    parts = [
        [rule.text(c) for c in read(shop / f"{name}.jsonl").conversations] for name in ("real", "synthetic", "holdout")
    ]
    for left, right in ((0, 2), (1, 2), (0, 1)):
        assert not between(parts[left], parts[right], rule=NearRule(jaccard=0.85))


def test_docs_name_every_topic_and_one_more(shop):
    topics = {c.topic for c in read(shop / "real.jsonl").conversations}
    named = {section.topic for section in read_docs(shop / "docs")} - {None}
    assert named - topics == {"price_match"} and topics <= named
    assert len(read_catalog(shop / "catalog.csv")) == 18
    with (shop / "catalog.csv").open(encoding="utf-8") as handle:
        assert all(all(row.values()) for row in csv.DictReader(handle))


def test_the_pool_of_the_demo(shop):
    rows = [json.loads(line) for line in (shop.parent / "banking77" / "pool.jsonl").read_text().splitlines()]
    assert Counter(Counter(row["topic"] for row in rows).values()) == {10: 77}
