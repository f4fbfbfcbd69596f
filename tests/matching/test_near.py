import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posology.errors import UsageError
from posology.matching import shingles
from posology.matching.near import Match, NearRule, between, strongest, within
from posology.matching.normalise import normalise

RULE = NearRule()
NAMES = "card payment transfer refund account balance statement currency exchange cash machine".split()


def jaccard(left, right):
    a, b = shingles.shingles(normalise(left)), shingles.shingles(normalise(right))
    return len(a & b) / len(a | b)


def pairs(matches):
    return {(match.left, match.right): match.kind for match in matches}


def messages(n, seed=0):
    """Messages from few words, some with a letter changed, so that many pairs lie around any threshold."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(NAMES, size=rng.integers(4, 9))) for _ in range(n)]
    for row in range(0, n, 3):
        at = int(rng.integers(len(texts[row]) - 1))
        texts[row] = texts[row - 1][:at] + "x" + texts[row - 1][at + 1 :]
    return texts


@pytest.mark.parametrize(
    ("left", "right", "kind"),
    [
        ("Where is my card?", "where is my CARD", "exact"),
        ("I made a transfer and it has not arrived yet", "I made a trasnfer and it has not arrived yet", "near"),
        ("My top up was cancelled by the app", "My top up was cancelled by the app, thanks!", "near"),
        ("Help me change my PIN.", "Please help me change my PIN.", "near"),
        ("My card payment was declined at the shop", "I want to know the fee of a transfer abroad", None),
        ("My transfer was declined. Why did this happen?", "My transfer was declined, why is that?", None),
        ("How do I change the PIN?", "I really need to know how to change my pin.", None),
    ],
)
def test_twins_and_honest_neighbours(left, right, kind):
    assert pairs(within([left, right], rule=RULE)).get((0, 1)) == kind
    assert pairs(between([left], [right], rule=RULE)).get((0, 0)) == kind


def test_score_and_threshold_are_the_true_ones():
    left, right = "Is there a reason that my transfer failed?", "Is there a reason my transfer failed?"
    (match,) = within([left, right], rule=NearRule(0.6))
    assert match == Match(0, 1, "near", jaccard(left, right), 0.6)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_finds_what_a_full_comparison_finds(threshold):
    texts = messages(250)
    firsts = {}
    for row, text in enumerate(texts):
        firsts.setdefault(normalise(text), row)
    rows = sorted(firsts.values())
    sets = [shingles.shingles(normalise(text)) for text in texts]
    truth = {
        (a, b)
        for k, b in enumerate(rows)
        for a in rows[:k]
        if len(sets[a] & sets[b]) >= threshold * len(sets[a] | sets[b])
    }
    found = {key for key, kind in pairs(within(texts, rule=NearRule(threshold))).items() if kind == "near"}
    assert found <= truth
    assert len(found) >= 0.99 * len(truth) > 0


def test_between_finds_what_within_finds_across():
    texts = messages(400, seed=1)
    left, right = texts[:150], texts[150:]
    across = {(a, b - 150) for a, b in pairs(within(texts, rule=RULE)) if a < 150 <= b}
    found = set(pairs(between(left, right, rule=RULE)))
    distinct = {a for a, _ in found}
    assert across <= found
    assert {a for a, _ in across} <= distinct


def test_copies_match_their_first_standing_only():
    texts = ["Lost my card", "Where is my refund", "lost my card!", "LOST MY CARD", "where is my refund?"]
    assert pairs(within(texts, rule=RULE)) == {(0, 2): "exact", (0, 3): "exact", (1, 4): "exact"}


def test_between_reports_every_left_copy_against_the_first_on_the_right():
    found = between(["a card", "A card!", "other thing"], ["none of these", "a card", "a  card"], rule=RULE)
    assert pairs(found) == {(0, 1): "exact", (1, 1): "exact"}


def test_near_matches_reach_every_left_copy():
    text = "I made a transfer and it has not arrived yet"
    found = between([text, text.upper()], [text + " please"], rule=RULE)
    assert pairs(found) == {(0, 0): "near", (1, 0): "near"}


def test_matches_are_ordered():
    found = within(messages(200), rule=NearRule(0.4))
    assert [(m.left, m.right) for m in found] == sorted((m.left, m.right) for m in found)
    assert all(m.left < m.right for m in found)


@pytest.mark.parametrize(("left", "right"), [([], []), ([], ["a"]), (["a"], [])])
def test_nothing_matches_nothing(left, right):
    assert between(left, right, rule=RULE) == []
    assert within(left, rule=RULE) == []


def test_texts_without_letters():
    texts = ["👍", "", "👍", "  ", "👎", "\ud83d"]
    assert pairs(within(texts, rule=RULE)) == {(0, 2): "exact", (1, 3): "exact"}


def test_a_crowd_stays_linear():
    texts = [f"Where is my order number {n}? I placed it on the website" for n in range(800)]
    found = within(texts, rule=RULE)
    assert len(found) <= shingles.CROWD * len(texts)
    linked = {row for match in found for row in (match.left, match.right)}
    assert len(linked) == len(texts)


def test_many_equal_texts_cost_no_square():
    found = within(["The same again"] * 5000, rule=RULE)
    assert len(found) == 4999
    assert {match.left for match in found} == {0}


def unit(*rows):
    vectors = np.array(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_semantic_matches_need_vectors_and_a_threshold():
    texts = ["Where is my money?", "Has the refund been sent?", "Cancel the card"]
    vectors = unit([1, 0.05], [1, 0], [0, 1])
    rule = NearRule(cosine=0.9)
    assert within(texts, vectors, rule=RULE) == []
    assert within(texts, rule=rule) == []
    (match,) = within(texts, vectors, rule=rule)
    assert (match.left, match.right, match.kind, match.threshold) == (0, 1, "semantic", 0.9)
    assert match.score == pytest.approx(1 / np.hypot(1, 0.05), abs=1e-6)
    (match,) = between(texts[:1], texts[1:], vectors[:1], vectors[1:], rule=rule)
    assert (match.left, match.right, match.kind) == (0, 0, "semantic")


def test_a_pair_is_reported_once_by_its_strongest_kind():
    texts = ["Help me change my PIN.", "Please help me change my PIN.", "help me change my pin"]
    vectors = unit([1, 0], [1, 0], [1, 0])
    assert pairs(within(texts, vectors, rule=NearRule(cosine=0.9))) == {(0, 1): "near", (0, 2): "exact"}
    found = between(texts[:1], texts[1:], vectors[:1], vectors[1:], rule=NearRule(cosine=0.9))
    assert pairs(found) == {(0, 0): "near", (0, 1): "exact"}


def test_strongest_prefers_the_kind_then_the_score_then_the_earliest():
    matches = [
        Match(0, 0, "semantic", 0.99, 0.9),
        Match(0, 1, "near", 0.8, 0.7),
        Match(0, 2, "near", 0.9, 0.7),
        Match(0, 3, "near", 0.9, 0.7),
        Match(1, 5, "near", 0.9, 0.7),
        Match(1, 7, "exact", 1.0, 1.0),
    ]
    assert {row: match.right for row, match in strongest(matches).items()} == {0: 2, 1: 7}


@pytest.mark.parametrize("fields", [{"jaccard": 0}, {"jaccard": 1.1}, {"jaccard": float("nan")}, {"cosine": -0.2}])
def test_senseless_thresholds_are_refused(fields):
    with pytest.raises(UsageError, match="threshold"):
        NearRule(**fields)


def test_vectors_that_do_not_fit_are_bugs():
    with pytest.raises(ValueError, match="2 texts, but vectors of shape"):
        within(["a", "b"], np.zeros((3, 4), np.float32), rule=RULE)
    with pytest.raises(ValueError, match="one side only"):
        between(["a"], ["b"], np.zeros((1, 4), np.float32), rule=RULE)


@pytest.mark.parametrize("threshold", [0.2, 0.3, 0.5, 0.7, 0.85, 1.0])
def test_bands_reach_the_promised_recall(threshold):
    bands, rows = shingles.band_shape(threshold)
    assert bands * rows <= shingles.N_HASHES
    assert 1 - (1 - threshold**rows) ** bands >= shingles.RECALL


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(alphabet="ab 😀?", max_size=6), max_size=12))
def test_within_links_exactly_the_equal(texts):
    exact = {(m.left, m.right) for m in within(texts, rule=RULE) if m.kind == "exact"}
    keys = [normalise(text) for text in texts]
    assert exact == {(keys.index(key), row) for row, key in enumerate(keys) if keys.index(key) != row}


def test_the_answer_does_not_hang_on_the_hash_seed_of_the_process():
    code = (
        "from posology.matching.near import NearRule, within\n"
        "texts = [f'order {n} of the shop number {n % 7} is late' for n in range(120)]\n"
        "print([(m.left, m.right, m.score) for m in within(texts, rule=NearRule(0.8))])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert outputs.pop() != "[]\n"


def test_importing_loads_nothing_heavy():
    code = "import sys, posology.matching.near; print({'faiss', 'rensa', 'scipy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.data
def test_one_change_keeps_most_real_messages_twins():
    folder = os.environ.get("POSOLOGY_DATA")
    if not folder:
        pytest.skip("POSOLOGY_DATA is not set")
    lines = (Path(folder) / "banking77" / "real.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["messages"][0]["content"] for line in lines]
    rng = np.random.default_rng(0)

    def swapped(text):
        at = int(rng.integers(len(text) - 1))
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]

    n_distinct = len(set(map(normalise, texts)))
    for change, share in ((swapped, 0.88), ("Please {}".format, 0.98), ("{} Thanks!".format, 0.98)):
        kept = {m.left for m in between(texts, [change(text) for text in texts], rule=RULE) if m.left == m.right}
        assert len(kept) >= share * n_distinct
    near = [m for m in within(texts, rule=RULE) if m.kind == "near"]
    assert 60 <= len(near) <= 140
