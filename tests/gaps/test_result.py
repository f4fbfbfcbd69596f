import json

import numpy as np

from posology.gaps.allocation import WaterFilling
from posology.gaps.result import gaps_result
from posology.gaps.slices import slices
from posology.gaps.topics import topic_gaps, topic_stats
from posology.gaps.traffic import traffic_clusters
from posology.records import Conversation, Message

KEYS = ["schema_version", "topics", "slices", "traffic", "allocation", "warnings"]


def example(n=40):
    train = [Conversation(f"id{i}", (Message("user", f"Hello {i}"),), f"t{i % 3}") for i in range(n)]
    return train, [c.topic for c in train]


def test_everything_comes_together_as_json():
    train, said = example()
    known = {"crypto": "docs crypto.md"}
    rule = WaterFilling(efficiency=0.5, weights="frequency")
    rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    gaps = topic_gaps(train, said, known_topics=known, budget=9, allocation=rule)
    value = gaps_result(
        gaps,
        topic_stats(train, said, known_topics=known),
        budget=9,
        slices=slices(train, said),
        traffic=traffic_clusters(train, rows, train[:5], rows[:5]),
        allocation=rule,
    )
    read = json.loads(json.dumps(value, allow_nan=False))
    assert list(read) == KEYS
    assert [row["topic"] for row in read["topics"]] == [gap.topic for gap in gaps]
    assert set(read["topics"][0]) == {"topic", "n_real", "recall", "recall_ci95", "want", "reason"}
    assert sum(row["want"] for row in read["topics"]) == 9
    assert read["slices"][0]["slice"] == "length"
    assert read["traffic"]["n"] == 5
    assert read["allocation"]["budget"] == 9
    assert read["allocation"]["efficiency"] == 0.5
    assert read["allocation"]["weights"] == "frequency"
    assert read["allocation"]["curve"]["half"] > 0
    assert read["warnings"] == []


def test_nothing_at_all():
    value = gaps_result([], [], budget=0)
    assert (value["topics"], value["slices"], value["traffic"], value["warnings"]) == ([], [], None, [])


def test_warnings_of_traffic_and_topics():
    train, _ = example(1)
    rows = np.ones((1, 4), np.float32)
    stats = topic_stats(train, [None])
    gaps = topic_gaps(train, [None], budget=1)
    found = gaps_result(gaps, stats, budget=1, traffic=traffic_clusters(train, rows, train, rows))["warnings"]
    assert len(found) == 2
    assert "recall" in found[0]
    assert "Traffic" in found[1]
