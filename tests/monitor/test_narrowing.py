"""Batches like the pool, and batches that are narrower."""

import numpy as np
import pytest

from monitor_support import customers, said
from posology import narrowing as module
from posology.narrowing import narrowing
from posology.records import TextRule
from support import talk


def embed(rows):
    """Directions that similar texts share."""
    words = sorted({word for c in rows for word in c.messages[0].content.split()})
    place = {word: i for i, word in enumerate(words)}
    vectors = np.zeros((len(rows), len(words)), np.float32)
    for row, c in zip(vectors, rows, strict=True):
        for word in c.messages[0].content.split():
            row[place[word]] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def written(n, seed, topics=("parcel", "refund", "gift"), *, texts=None):
    """A batch of n; of only so many different texts."""
    rng = np.random.default_rng(seed)
    rows = [(topic, said(topic, rng)) for topic in rng.choice(topics, texts or n)]
    return [talk(f"n{seed}-{i}", rows[i % len(rows)][1], str(rows[i % len(rows)][0])) for i in range(n)]


def found(batch, pool, rate=0.1):
    return narrowing(customers(160, 0), pool, batch, embed, TextRule(), rate=rate)


def test_a_batch_like_a_narrow_pool_is_no_alarm_and_one_without_variety_is():
    pool = written(150, 1, ("parcel", "refund"))
    same = found(written(60, 1000, ("parcel", "refund")), pool)
    assert same.shown and len(same.shown) <= same.most
    worse = found(written(60, 3, ("parcel",), texts=4), pool)
    assert len(worse.shown) > worse.most and worse.new <= worse.shown


def test_a_batch_is_an_alarm_only_if_it_is_beyond_every_part(monkeypatch):
    counts = iter([3, 1, 2, 0, 3, 9])
    drawn = []

    def shown(table, rows, seed):
        drawn.append(len(rows))
        return frozenset("abcdefghi"[: next(counts)])

    monkeypatch.setattr(module, "_shown", shown)
    result = found(customers(40, 1), customers(60, 2), rate=0.02)
    assert (len(result.shown), result.most) == (3, 3) and drawn == [40] * 5  # stops at a part with as many
    counts = iter([3, *[2] * 49])
    result = found(customers(40, 1), customers(60, 2), rate=0.02)
    assert (len(result.shown), result.most, len(drawn)) == (3, 2, 55)
    counts = iter([0])
    assert found(customers(40, 1), customers(60, 2)).most == 0


@pytest.mark.parametrize("n_pool", [0, 10])
def test_with_hardly_a_pool_real_text_is_the_measure(n_pool):
    worse = found(written(60, 3, ("parcel",), texts=4), written(n_pool, 1) if n_pool else [])
    assert worse.shown and worse.most == 0
    assert not found(written(10, 3), written(60, 1)).shown  # too few to tell
