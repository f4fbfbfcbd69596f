"""Are faults injected into a healthy synthetic set found, and named, and does a healthy set raise no alarm?

    POSOLOGY_DATA=... python benchmarks/collapse_faults.py [--data twacs|banking77] [--n 200|1000] [--trials 200]

A healthy "synthetic" set is n real rows held apart from the 2,000 that are judged by, drawn anew in each trial. Topics
of unlabelled TwACS conversations are the guesses of a head trained on the labelled ones.
"""

import argparse
import json
import os
import re
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import posology
from posology.collapse.diagnosis import diagnose
from posology.collapse.surrogate import Trigrams
from posology.collapse.table import Table, make_table
from posology.embedding.cache import VectorCache
from posology.embedding.embedder import Embedder
from posology.embedding.encoders import make_encoder
from posology.records import Conversation, Message, Mixture, TextRule
from posology.training.head import HeadTrainer

N_REAL = 2000
LOOPS = {200: 200, 1000: 40}  # distinct loops; more trials than loops use one with other real rows
RIGHT = {
    "duplicates": {"near_copies"},
    "dropped topics": {"topics_missing", "tail_missing"},
    "templates": {"templates", "openings", "near_copies"},
    "cut tails": {"far_out", "outliers_covered", "coverage", "density", "vendi", "topic_spread"},
    "flat affect": {"mood_spread", "arousal", "arousal_spread", "frustrated", "polite"},
    "repeated names": {"names"},
    "replace loop": {
        "distinct_1",
        "distinct_2",
        "distinct_3",
        "self_repetition",
        "compression",
        "vocabulary_growth",
        "vendi",
        "coverage",
    },
}
TEMPLATES = (
    "Hi, I have a question about {0}. Could someone tell me more about {1} today?",
    "I need some help with {0} because the {1} is not what I expected it to be.",
    "Can you please explain how the {0} and the {1} are going to be handled for me?",
)
THANKS = (
    "Thank you for your kind help.",
    "I would be grateful for your advice.",
    "Many thanks in advance.",
    "Please take your time, thanks.",
    "I really appreciate your support.",
    "Could you please assist me? Thank you.",
    "Kind regards.",
    "Thanks so much, all the best.",
)
NAMES = ("Emily Carter", "James Whitfield")
MILD = {
    "furious": "unhappy",
    "ridiculous": "surprising",
    "terrible": "not ideal",
    "worst": "less good",
    "horrible": "not ideal",
    "awful": "not ideal",
    "hate": "do not prefer",
    "pathetic": "limited",
    "unacceptable": "not ideal",
    "sucks": "is not ideal",
    "angry": "unhappy",
    "stolen": "missing",
    "love": "like",
    "amazing": "good",
    "awesome": "good",
    "great": "good",
}


@dataclass(frozen=True)
class Pool:
    """Real rows of one data set."""

    rows: list[Conversation]
    vectors: np.ndarray
    typical: np.ndarray  # rank of each row by its distance from the centre of its topic, in [0, 1]


def load(name: str, embedder: Embedder) -> Pool:
    """Reads all real rows with topics."""
    data = Path(os.environ["POSOLOGY_DATA"])
    files = {"banking77": ("real.jsonl", "real_rest.jsonl"), "twacs": ("labelled.jsonl", "unlabelled.jsonl")}[name]
    parts = [list(posology.read(data / name / f, require_topic=False).conversations) for f in files]
    if name == "twacs":
        head = HeadTrainer(embedder)
        variant = head.fit(Mixture(0.0, "selected", "augment", 0, tuple(parts[0]), ()))
        guess = variant.predict(parts[1])
        best = guess.probabilities.argmax(axis=1)
        parts[1] = [replace(c, topic=guess.topics[i]) for c, i in zip(parts[1], best, strict=True)]
    rows = [c for part in parts for c in part if embedder.rule.text(c).strip()]
    vectors = embedder.encode(rows)
    topics = np.array([c.topic for c in rows])
    typical = np.zeros(len(rows))
    for topic in set(topics.tolist()):
        own = np.flatnonzero(topics == topic)
        far = -(vectors[own] @ vectors[own].mean(axis=0))
        typical[own[np.argsort(far, kind="stable")]] = np.arange(len(own)) / len(own)
    return Pool(rows, vectors, typical)


def reworded(c: Conversation, change, number: int) -> Conversation:
    """The conversation with its customer turns changed; `change` gets text and place of the turn."""
    turns = [replace(m, content=change(m.content, i)) if m.role == "user" else m for i, m in enumerate(c.messages)]
    return replace(c, id=f"{c.id}-{number}", messages=tuple(turns), source="synthetic")


def template(c: Conversation, k: int) -> Conversation:
    """A template filled with two words of the row."""
    words = sorted(set(re.findall(r"[a-z]{4,}", TextRule().text(c).lower())), key=len)[-2:] or ["matter"]
    return reworded(c, lambda text, i: TEMPLATES[k % 3].format(words[0], words[-1]) if i == 0 else text, k)


def polite(c: Conversation, k: int) -> Conversation:
    """All calm and kind."""

    def change(text: str, place: int) -> str:
        text = re.sub(r"\b[A-Z]{3,}\b", lambda m: m[0].lower(), text)
        text = re.sub(r"[!?.]{2,}|!", ".", text)
        text = re.sub(r"[A-Za-z]+", lambda m: MILD.get(m[0].lower(), m[0]), text)
        return f"{text} {THANKS[k % len(THANKS)]}" if place == 0 else text

    return reworded(c, change, k)


def named(c: Conversation, k: int) -> Conversation:
    """With one of two names."""
    return reworded(c, lambda text, i: f"{text} My name is {NAMES[k % 2]}." if i == 0 else text, k)


def loop(rows: list[Conversation], rng: np.random.Generator, number: int) -> list[Conversation]:
    """One generation: a model fitted to the rows writes as many."""
    rule = TextRule()
    topics = [c.label for c in rows]
    texts = Trigrams.fit([rule.text(c) for c in rows], topics).write(topics, rng)
    return [
        replace(c, id=f"loop-{number}-{i}", messages=spoken(text, c), source="synthetic")
        for i, (c, text) in enumerate(zip(rows, texts, strict=True))
    ]


def spoken(text: str, c: Conversation) -> tuple[Message, ...]:
    """The lines of a text as turns of the customer, with the agent's turns of the row between them."""
    answers = [m for m in c.messages if m.role == "assistant"]
    turns = []
    for place, line in enumerate(text.split("\n")):
        turns += [Message("user", line), *answers[place : place + 1]]
    return tuple(turns)


def dropped(pool: Pool, n: int, spare: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows without 30 % of the topics."""
    topics = np.array([pool.rows[i].label for i in spare])
    names = np.unique(topics)
    gone = rng.choice(names, max(1, round(0.3 * len(names))), replace=False)
    return spare[~np.isin(topics, gone)][:n]


def trial(name: str, pool: Pool, n: int, number: int, first_made: int, healthy: np.ndarray, spare: np.ndarray):
    """The rows of the faulty set, as numbers of the table of this fault."""
    rng = np.random.default_rng([number, 7])
    rows = healthy.copy()
    if name == "duplicates":
        rows[: n // 5] = rng.choice(rows[n // 5 :], n // 5)
    elif name == "dropped topics":
        rows = dropped(pool, n, np.r_[healthy, spare], rng)
    elif name == "cut tails":
        both = np.r_[healthy, spare]
        rows = both[pool.typical[both] < 2 / 3][:n]
    elif name == "flat affect":
        rows = rows + first_made
    elif name == "repeated names":
        rows[: n // 10] += first_made
    elif name == "templates":
        rows[: 3 * n // 10] += first_made
    elif name == "replace loop":
        rows = first_made + (number % LOOPS[n]) * n + np.arange(n)
    return rows


def made(name: str, pool: Pool, n: int, trials: int) -> list[Conversation]:
    """The rows that a fault adds to the pool."""
    if name == "flat affect":
        return [polite(c, k) for k, c in enumerate(pool.rows)]
    if name == "templates":
        return [template(c, k) for k, c in enumerate(pool.rows)]
    if name == "repeated names":
        return [named(c, k) for k, c in enumerate(pool.rows)]
    if name == "replace loop":
        return [
            row
            for number in range(min(LOOPS[n], trials))
            for row in loop([pool.rows[i] for i in draw(pool, n, number)[1]], np.random.default_rng(number), number)
        ]
    return []


def draw(pool: Pool, n: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real rows, the healthy set, and what is left, in random order."""
    order = np.random.default_rng([number, n]).permutation(len(pool.rows))
    return order[:N_REAL], order[N_REAL : N_REAL + n], order[N_REAL + n :]


def main() -> None:
    """Runs the trials and prints one line a fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", choices=("twacs", "banking77"), action="append")
    parser.add_argument("--n", type=int, action="append")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--faults", default="")
    given = parser.parse_args()
    embedder = Embedder(make_encoder("minilm"), cache=VectorCache())
    for data in given.data or ("twacs", "banking77"):
        pool = load(data, embedder)
        plain = make_table(pool.rows, [], pool.vectors, TextRule())
        for n in given.n or (200, 1000):
            for name in given.faults.split(",") if given.faults else ("", *RIGHT):
                report(data, pool, plain, n, name, given.trials, embedder)


def report(data: str, pool: Pool, plain: Table, n: int, name: str, trials: int, embedder: Embedder) -> None:
    """All trials of one fault."""
    extra = made(name, pool, n, trials)
    table = plain
    if extra:
        table = make_table(pool.rows, extra, np.vstack([pool.vectors, embedder.encode(extra)]), TextRule())
    alarms, right, moved, first = 0, 0, Counter(), Counter()
    start = time.process_time()
    for number in range(trials):
        real, healthy, spare = draw(pool, n, number)
        rows = trial(name, pool, n, number, len(pool.rows), healthy, spare)
        found = [r.indicator.name for r in diagnose(table, rows, real=real, seed=number).faults]
        alarms += bool(found)
        right += not RIGHT.get(name, set()).isdisjoint(found)
        moved.update(found)
        first.update(found[:1])
    line = {
        "data": data,
        "n": n,
        "fault": name or "none",
        "trials": trials,
        "alarms": alarms / trials,
        "named": right / trials,
        "moved": {k: round(v / trials, 3) for k, v in moved.most_common(6)},
        "first": dict(first.most_common(3)),
        "cpu": round((time.process_time() - start) / trials, 2),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
