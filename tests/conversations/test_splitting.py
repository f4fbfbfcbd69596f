from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posology.conversations.splitting import holdout_groups, keep_apart, split_off_holdout
from posology.errors import InputError, UsageError
from posology.matching.near import NearRule
from posology.records import Conversation, Message

RULE = NearRule()
EXACT = NearRule(jaccard=1.0)


def conversation(n, topic, text=None, source="real"):
    return Conversation(f"c{n:04}", (Message("user", text or f"{n} {n * 7919}"),), topic, source)


def texts_of(conversations):
    return [c.messages[0].content for c in conversations]


def data(sizes):
    """Conversations without twins, as many a topic as `sizes` says."""
    topics = [topic for topic, size in sizes.items() for _ in range(size)]
    return [conversation(n, topic) for n, topic in enumerate(topics)]


def split(conversations, n_holdout, seed=0, rule=EXACT, vectors=None):
    return split_off_holdout(conversations, texts_of(conversations), vectors, n_holdout=n_holdout, seed=seed, rule=rule)


def topics_at(conversations, rows):
    return Counter(conversations[row].topic for row in rows)


def test_topics_keep_their_proportions():
    rows = data({"a": 200, "b": 100, "c": 60, "d": 40})
    result = split(rows, 100)
    assert topics_at(rows, result.holdout) == {"a": 50, "b": 25, "c": 15, "d": 10}
    assert sorted(result.train + result.holdout) == list(range(400))
    assert len(set(result.groups.tolist())) == 400


def test_largest_remainders_round_up():
    rows = data({"a": 19, "b": 15, "c": 16})
    # Exact shares of 10 are 3.8, 3.0 and 3.2.
    assert topics_at(rows, split(rows, 10).holdout) == {"a": 4, "b": 3, "c": 3}


def test_small_topics_keep_two_training_examples_where_they_can():
    rows = data({"big": 60, "three": 3, "two": 2, "one": 1})
    for seed in range(5):
        train = topics_at(rows, split(rows, 30, seed).train)
        assert train["three"] >= 2
        assert train["two"] == 2
        assert train["one"] == 1


def test_small_topics_keep_one_where_two_cannot_be():
    rows = data({f"t{n}": 2 for n in range(12)})
    result = split(rows, 10)
    assert len(result.holdout) == 10
    assert min(topics_at(rows, result.train).values()) == 1


def test_twins_never_straddle():
    base = data({"a": 60, "b": 60})
    rows = [
        *base,
        *(
            conversation(500 + n, "a", f"Where is my parcel {n * 104729}, it should have come {n} days ago")
            for n in range(20)
        ),
        *(
            conversation(600 + n, "b", f"where is my parcel {n * 104729}, it should have come {n} days ago!")
            for n in range(20)
        ),
    ]
    result = split(rows, 50, rule=RULE)
    held = set(result.holdout)
    for n in range(20):
        assert (120 + n in held) == (140 + n in held)
    assert not set(result.groups[result.holdout].tolist()) & set(result.groups[result.train].tolist())


def test_a_topic_of_twins_stays_in_training():
    rows = [*data({"a": 40}), *(conversation(100 + n, "b", "Same again!") for n in range(20))]
    result = split(rows, 30)
    assert topics_at(rows, result.train)["b"] == 20
    assert any("b" in warning and "no holdout example" in warning for warning in result.warnings)
    assert any("20 of 60" in warning and "near copies" in warning for warning in result.warnings)


def test_size_is_met_as_nearly_as_groups_allow():
    rows = [conversation(n, "ab"[n % 2], f"Sentence number {n // 14 * 7919}") for n in range(140)]
    assert len(split(rows, 16).holdout) == 14
    assert len(split(rows, 20).holdout) == 14
    result = split(rows, 24)
    assert len(result.holdout) == 28
    assert any("28 conversations instead of 24" in warning for warning in result.warnings)


def test_never_more_than_half():
    rows = data({"a": 50, "b": 51})
    result = split(rows, 90)
    assert len(result.holdout) == 50
    assert any("limited to half" in warning for warning in result.warnings)


def test_overshoot_never_passes_half():
    rows = [conversation(n, "ab"[n % 2], f"Sentence number {n // 10 * 7919}") for n in range(50)]
    assert len(split(rows, 25).holdout) == 20


def test_same_seed_same_holdout_in_any_order():
    rows = data({"a": 80, "b": 40, "c": 9})
    ids = {rows[row].id for row in split(rows, 30, seed=3).holdout}
    shuffled = [rows[k] for k in np.random.default_rng(1).permutation(len(rows))]
    assert {shuffled[row].id for row in split(shuffled, 30, seed=3).holdout} == ids
    assert {rows[row].id for row in split(rows, 30, seed=4).holdout} != ids


def test_vectors_follow_their_conversations():
    rows = list(reversed(data({"a": 20, "b": 20})))
    vectors = np.eye(40, dtype=np.float32)
    vectors[7] = vectors[31]
    result = split(rows, 12, rule=NearRule(1.0, cosine=0.99), vectors=vectors)
    assert result.groups[7] == result.groups[31]
    assert len(set(result.groups.tolist())) == 39


@pytest.mark.parametrize(("n_holdout", "warned"), [(199, True), (200, False)])
def test_small_holdouts_are_called_so(n_holdout, warned):
    result = split(data({"a": 300, "b": 300}), n_holdout)
    assert any("only large differences" in warning for warning in result.warnings) is warned
    assert len(result.warnings) == warned


def test_topics_left_out_are_named_but_not_all():
    rows = data({"big": 400, **{f"tail{n}": 1 for n in range(8)}})
    (warning,) = split(rows, 200).warnings
    assert "8 of 9 topics" in warning
    assert "tail4 and 3 more" in warning


@pytest.mark.parametrize("n_holdout", [-1, 0, 40, 41])
def test_senseless_sizes_are_refused(n_holdout):
    with pytest.raises(UsageError) as caught:
        split(data({"a": 20, "b": 20}), n_holdout)
    assert "20" in caught.value.remedy


@pytest.mark.parametrize("sizes", [{"a": 10, "b": 9}, {"a": 40}, {f"t{n}": 1 for n in range(30)}])
def test_data_that_cannot_be_split_is_refused(sizes):
    with pytest.raises(InputError) as caught:
        split(data(sizes), 5)
    assert caught.value.remedy


def test_callers_mistakes_are_bugs():
    rows = data({"a": 20, "b": 20})
    with pytest.raises(ValueError, match="40 conversations, but 39 texts"):
        split_off_holdout(rows, texts_of(rows)[:-1], None, n_holdout=5, seed=0, rule=RULE)
    with pytest.raises(ValueError, match="no topic"):
        split([*rows, conversation(99, None)], 5)
    with pytest.raises(ValueError, match="as many texts"):
        keep_apart(rows, [], None, [], [], None, rule=RULE)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 25)), min_size=20, max_size=80),
    st.integers(1, 19),
    st.integers(0, 3),
)
def test_what_must_always_hold(rows, n_holdout, seed):
    conversations = [conversation(n, topic, f"text {key * 7919}") for n, (topic, key) in enumerate(rows)]
    try:
        result = split(conversations, n_holdout, seed)
    except InputError:
        return
    n = len(conversations)
    assert sorted(result.train + result.holdout) == list(range(n))
    assert result.train == sorted(result.train)
    assert result.holdout == sorted(result.holdout)
    assert 0 < len(result.holdout) <= n // 2
    sizes = Counter(key for _, key in rows)
    assert abs(len(result.holdout) - min(n_holdout, n // 2)) < max(n_holdout, max(sizes.values()))
    keys = [key for _, key in rows]
    assert not {keys[row] for row in result.holdout} & {keys[row] for row in result.train}
    assert set(topics_at(conversations, result.train)) == {topic for topic, _ in rows}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=8).filter(lambda s: 20 <= sum(s)), st.data())
def test_without_twins_the_size_is_exact(sizes, data_of):
    conversations = data({f"t{k}": size for k, size in enumerate(sizes)})
    most = min(sum(sizes) // 2, sum(size - 1 for size in sizes))
    n_holdout = data_of.draw(st.integers(1, most))
    held = split(conversations, n_holdout).holdout
    assert len(held) == n_holdout
    if all(size > 2 * max(1, n_holdout) for size in sizes):
        for k, size in enumerate(sizes):
            share = n_holdout * size / sum(sizes)
            assert abs(topics_at(conversations, held)[f"t{k}"] - share) < 1


def test_leaks_are_rejected_with_their_reason():
    holdout = [
        conversation(1, "a", "My transfer to a friend was declined twice today"),
        conversation(2, "b", "Card lost"),
    ]
    rows = [
        conversation(10, "b", "card LOST!", "synthetic"),
        conversation(11, "a", "Please, my transfer to a friend was declined twice today", "synthetic"),
        conversation(12, "a", "Sending money to my sister did not work", "synthetic"),
    ]
    result = keep_apart(rows, texts_of(rows), None, holdout, texts_of(holdout), None, rule=RULE)
    assert result.kept == [2]
    exact, near = result.rejections
    assert (exact.id, exact.reason, exact.other_id, exact.score) == ("c0010", "leaked_exact", "c0002", 1.0)
    assert (near.id, near.reason, near.other_id, near.threshold) == ("c0011", "leaked_near", "c0001", 0.7)
    assert near.score is not None
    assert 0.7 <= near.score < 1
    for rejection in result.rejections:
        assert rejection.other_id in rejection.detail
        assert "declined" not in rejection.detail


def test_cosine_rejects_only_if_asked_to():
    holdout, rows = [conversation(1, "a", "Where is my money?")], [conversation(2, "a", "Refund not in yet")]
    vectors = np.ones((1, 1), np.float32)
    sides = (rows, texts_of(rows), vectors, holdout, texts_of(holdout), vectors)
    assert keep_apart(*sides, rule=RULE).kept == [0]
    (rejection,) = keep_apart(*sides, rule=NearRule(cosine=0.9)).rejections
    assert rejection.reason == "leaked_semantic"


def test_nothing_to_keep_apart():
    rows = data({"a": 3})
    assert keep_apart(rows, texts_of(rows), None, [], [], None, rule=RULE).kept == [0, 1, 2]
    assert keep_apart([], [], None, rows, texts_of(rows), None, rule=RULE).rejections == []


def test_clusters_of_a_holdout():
    texts = ["Where is my new card?", "Refund please", "where is my new card", "Where is my new card, please"]
    assert holdout_groups(texts, None, RULE).tolist() == [0, 1, 0, 0]
