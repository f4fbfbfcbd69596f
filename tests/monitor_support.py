"""Traffic of a made-up shop, and windows without any text."""

import json

import numpy as np

import posology
from posology.monitor.windows import Window, labels
from support import talk

ASKED = {
    "parcel": "where is my parcel it was sent days ago and the tracking shows nothing",
    "refund": "i want my money back for the shoes that came broken last week",
    "gift": "can i pay with a gift card and add a nice note to the box please",
}
EXTRA = "today now again order number blue red shop mail door week since monday friday help soon maybe here".split()
SETTINGS = {
    "embedding.encoder": "lexical",
    "verify.enabled": False,  # the shop's customers speak from a list of words, as no real ones do
    "select.keep_rate": 1.0,
    "select.near": 1.0,
    "select.semantic": 1.0,
    "sweep.learning_curve": False,
    "sweep.indicators": False,
    "sweep.bootstrap": 200,
}


def said(topic, rng):
    """A message on a topic: some of its words, some others."""
    words = [word for word in ASKED[topic].split() if rng.random() < 0.8]
    return " ".join([*words, *rng.choice(EXTRA, 4, replace=False)])


def customers(n, seed, *, shares=(0.5, 0.3, 0.2), name="c"):
    """Conversations of n customers."""
    rng = np.random.default_rng(seed)
    topics = rng.choice(list(ASKED), n, p=shares)
    return [talk(f"{name}{seed}-{i}", said(topic, rng), str(topic)) for i, topic in enumerate(topics)]


def traffic_file(path, conversations, *, labelled=False):
    """Writes traffic as JSON lines."""
    rows = [
        {"id": c.id, "messages": [{"role": m.role, "content": m.content} for m in c.messages]}
        | ({"topic": c.topic} if labelled else {})
        for c in conversations
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def swept(folder, *, seed=0, encoder="lexical"):
    """A run folder with a finished sweep."""
    pool = [talk(f"s{i}", f"so {c.messages[0].content}", c.topic, "synthetic") for i, c in enumerate(customers(200, 9))]
    settings = SETTINGS | {"embedding.encoder": encoder}
    posology.sweep(customers(150, seed), pool, customers(60, 1), doses="0.3", seeds=1, out=folder, settings=settings)
    return folder


def window(n, seed=0, *, topics=("a", "b", "c"), p=(0.6, 0.3, 0.1), move=0.0, mood=0.0):
    """A window of n rows that were drawn, not written."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 8)) + move
    return Window(
        ids=labels([f"r{seed}-{i}" for i in range(n)]),
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        topics=labels(rng.choice(topics, n, p=p)),
        confidence=rng.uniform(0.3, 1, n).astype(np.float32),
        similarity=rng.uniform(0.5, 1, n).astype(np.float32),
        words=rng.integers(5, 40, n),
        language=labels(rng.choice(["en", ""], n, p=[0.9, 0.1])),
        layout=np.ones(n, dtype=bool),
        mood={"mood": (rng.standard_normal(n) + mood).astype(np.float32), "arousal": rng.random(n).astype(np.float32)},
        mess={"emoji": (rng.random(n) < 0.2).astype(np.float32)},
    )
