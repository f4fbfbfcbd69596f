"""Texts as sets of windows, against what a few lines of plain Python say."""

import numpy as np
import pytest

from posology.verification.leakage.windows import Index

WORDS = (
    "card lost my the is where stolen transfer top up money please help fee cash abroad pin code account why".split()
)


def texts(n, seed, shortest=3):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(shortest, 12))) for _ in range(n)]


def characters(text):
    padded = f" {text} ".ljust(4)
    return {padded[i : i + 4] for i in range(len(padded) - 3)}


def runs(text):
    words = text.split()
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def test_similar_texts_are_found_with_their_true_jaccard():
    left, right = [*texts(150, 1), "card", "é ü", "日本語のカード"], [*texts(80, 2), "card", "日本語のカード"]
    i, j, score = Index(right, unit="character", width=4, measure="jaccard").pairs(left, 0.45)
    found = dict(zip(zip(i.tolist(), j.tolist(), strict=True), score.tolist(), strict=True))
    wanted = {}
    for a, one in enumerate(left):
        for b, other in enumerate(right):
            x, y = characters(one), characters(other)
            if (likeness := len(x & y) / len(x | y)) >= 0.45:
                wanted[a, b] = likeness
    assert wanted.keys() >= found.keys() and len(found) >= 0.99 * len(wanted)
    assert all(found[pair] == pytest.approx(wanted[pair]) for pair in found)
    assert found[150, 80] == found[152, 81] == 1


def test_contained_runs_are_found_and_short_texts_are_not_compared():
    left, right = texts(100, 3), texts(60, 4)
    right[0] = " ".join(left[5].split()[:8]) if len(left[5].split()) >= 8 else "why is my card lost abroad please"
    left[6] = f"hello there {right[0]} and many thanks"
    index = Index(right, unit="word", width=3, measure="containment", fewest=4)
    i, j, score = index.pairs(left, 0.7)
    found = dict(zip(zip(i.tolist(), j.tolist(), strict=True), score.tolist(), strict=True))
    wanted = {}
    for a, one in enumerate(left):
        for b, other in enumerate(right):
            x, y = runs(one), runs(other)
            if min(len(x), len(y)) >= 4 and len(x & y) / min(len(x), len(y)) >= 0.7:
                wanted[a, b] = len(x & y) / min(len(x), len(y))
    assert found == pytest.approx(wanted) and found[6, 0] == 1


def test_dense_blocks_agree_with_pairs():
    left, right = texts(300, 5), texts(40, 6)
    index = Index(right, unit="character", width=4, measure="jaccard")
    dense = np.vstack([block for _, block in index.dense(left)])
    assert dense.shape == (300, 40)
    i, j, score = index.pairs(left, 0.6)
    assert dense[i, j] == pytest.approx(score)


@pytest.mark.parametrize("unit", ["character", "word"])
@pytest.mark.parametrize(
    ("left", "right"), [([], ["a b c d"]), (["a b c d"], []), ([""], [""]), (["x"], ["a b c d e"])]
)
def test_nothing_to_compare(unit, left, right):
    index = Index(right, unit=unit, width=3, measure="jaccard")
    assert all(len(column) == 0 or set(left) == set(right) for column in index.pairs(left, 0.5))
