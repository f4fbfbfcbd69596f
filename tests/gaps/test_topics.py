import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.gaps.allocation import WaterFilling
from posology.gaps.topics import topic_gaps, topic_stats, topic_warnings
from posology.records import Conversation, Message


def rows(**topics):
    """`topic="cc-w"`: one example a sign; c right, w wrong (said "other"), - not predicted."""
    train, said = [], []
    for topic, signs in topics.items():
        for sign in signs:
            train.append(Conversation(f"id{len(train)}", (Message("user", "hello"),), topic))
            said.append({"c": topic, "w": "other", "-": None}[sign])
    return train, said


def by_topic(gaps):
    return {gap.topic: gap for gap in gaps}


def test_counts_and_wants():
    train, said = rows(big="c" * 49 + "w", small="cww", single="-")
    gaps = by_topic(topic_gaps(train, said, known_topics={"none": "docs cards.md"}, budget=12))
    assert {t: g.n_real for t, g in gaps.items()} == {"big": 50, "small": 3, "single": 1, "none": 0}
    # Up to 5 from 3, 1 and 0 takes 2 + 4 + 5; of equal topics, the twelfth goes to the one that got fewest.
    assert sum(g.want for g in gaps.values()) == 12
    assert gaps["small"].recall == pytest.approx(1 / 3)
    assert gaps["small"].recall_ci95 == pytest.approx((0.0615, 0.7923), abs=1e-3)
    assert gaps["single"].recall is gaps["single"].recall_ci95 is None
    assert gaps["none"].recall is None
    assert [gaps[t].want for t in ("none", "single", "small", "big")] == [5, 4, 3, 0]


def test_reasons():
    train, said = rows(big="c" * 120 + "ww", small="cww", single="-", weak="c" * 20 + "w" * 20, few="ccc")
    gaps = by_topic(topic_gaps(train, said, known_topics={"none": "docs cards.md"}, budget=20))
    assert gaps["big"].reason == "122 real examples; recall 0.98 [0.94, 1.00]: enough"
    assert gaps["small"].reason == "3 real examples; recall 0.33 [0.06, 0.79]: thin and weak"
    assert gaps["few"].reason == "3 real examples; recall 1.00 [0.44, 1.00]: thin"
    assert gaps["single"].reason == "1 real example; recall could not be measured: thin"
    assert gaps["none"].reason == "no real example; named in docs cards.md"
    assert gaps["weak"].reason == (
        "40 real examples; recall 0.50 [0.35, 0.65]: weak, beyond the budget; 20 times taken for other"
    )


def test_no_budget_says_so():
    train, said = rows(a="cc", b="c" * 30)
    gaps = by_topic(topic_gaps(train, said, known_topics={"none": "the configuration"}, budget=0))
    assert all(gap.want == 0 for gap in gaps.values())
    assert gaps["none"].reason == "no real example; named in the configuration, beyond the budget"
    assert gaps["a"].reason.endswith(": thin, beyond the budget")
    assert gaps["b"].reason.endswith(": enough")


def test_the_most_wanted_comes_first():
    train, said = rows(a="c" * 30, b="cc", c="c" * 8, d="-")
    assert [gap.topic for gap in topic_gaps(train, said, budget=15)] == ["d", "b", "c", "a"]


def test_a_topic_both_known_and_real_is_one_gap():
    train, said = rows(a="cc")
    (gap,) = topic_gaps(train, said, known_topics={"a": "docs a.md"}, budget=3)
    assert (gap.n_real, gap.want) == (2, 3)


def test_folds_take_examples_away():
    train, said = rows(a="c" * 10, b="ccc", c="-")
    assert [s.n_seen for s in topic_stats(train, said, folds=5)] == [8, 2, 0]
    assert [s.n_seen for s in topic_stats(train, said, folds=2)] == [5, 1, 0]


def test_the_rule_can_be_replaced():
    train, said = rows(a="c" * 50, b="c" * 5)
    rule = WaterFilling(weights="frequency", efficiency=0.5)
    uniform, frequency = (by_topic(topic_gaps(train, said, budget=100, allocation=r)) for r in (WaterFilling(), rule))
    assert frequency["a"].want > uniform["a"].want


def test_nothing_at_all():
    assert topic_gaps([], [], budget=10) == []
    (gap,) = topic_gaps([], [], known_topics={"a": "docs a.md"}, budget=10)
    assert (gap.n_real, gap.want, gap.recall) == (0, 10, None)


def test_all_right_with_one_example_each():
    train, said = rows(**{f"t{i}": "-" for i in range(20)})
    gaps = topic_gaps(train, said, budget=40)
    assert {gap.want for gap in gaps} == {2}


def test_bad_input():
    train, said = rows(a="cc")
    with pytest.raises(ValueError, match="2 conversations but 1 predictions"):
        topic_gaps(train, said[:1], budget=1)
    with pytest.raises(ValueError, match="no topic"):
        topic_gaps([Conversation("x", train[0].messages)], [None], budget=1)
    with pytest.raises(ValueError, match="negative"):
        topic_gaps(train, said, budget=-1)


@given(st.dictionaries(st.text(min_size=1), st.text("cw-", max_size=9), max_size=8), st.integers(0, 50))
def test_any_topic_name_and_any_outcome(topics, budget):
    train, said = rows(**topics)
    gaps = topic_gaps(train, said, known_topics=dict.fromkeys(topics, "docs"), budget=budget)
    assert {gap.topic for gap in gaps} == set(topics)
    assert sum(gap.want for gap in gaps) == (budget if topics else 0)
    for gap in gaps:
        assert (gap.recall is None) == (gap.recall_ci95 is None)
        assert gap.n_real or gap.reason.startswith("no real example")


def test_five_thousand_topics():
    train, said = rows(**{f"t{i}": "cw"[: 1 + i % 2] for i in range(5_000)})
    gaps = topic_gaps(train, said, known_topics={"new": "docs"}, budget=7_000)
    assert len(gaps) == 5_001
    assert sum(gap.want for gap in gaps) == 7_000


def warnings(train, said, budget=10, **known):
    gaps = topic_gaps(train, said, known_topics=known, budget=budget)
    return topic_warnings(topic_stats(train, said, known_topics=known), gaps)


def test_warnings():
    train, said = rows(card_arrival="cc", **{"???": "cc"})
    assert warnings(train, said) == []
    (spelling,) = warnings(train, said, **{"Card Arrival": "docs", "!!!": "docs"})
    assert "'Card Arrival'" in spelling
    assert "'card_arrival'" in spelling
    (unfunded,) = warnings(train, said, budget=1, x="docs", y="docs")
    assert "got none of the budget: 1." in unfunded
    assert any("No recall" in text for text in warnings(*rows(a="-", b="-")))
    assert warnings([], []) == []
