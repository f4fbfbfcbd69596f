"""What the leakage check catches, and what it costs in honest rows.

    POSOLOGY_DATA=... python benchmarks/leakage_recall.py

BANKING77 (single messages): copies and near copies of the holdout, made by a program, beside a clean synthetic pool;
the paraphrases of tests/data, which no row-by-row check can call; and how often the test of the whole set sees a tenth
of near copies, a tenth of paraphrases, or nothing. TwACS (multi-turn): the paraphrases of tests/data beside clean
synthetic conversations; the features were chosen on the first half of them, the second half is the figure.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from posology.conversations.reading import read
from posology.embedding.cache import VectorCache
from posology.embedding.embedder import Embedder
from posology.embedding.encoders import make_encoder
from posology.records import Conversation, Message, TextRule
from posology.verification.leakage.check import Leakage, leakage
from posology.verification.leakage.sets import Labelled, set_test

RULE = TextRule()
PLANTED = Path(__file__).parent.parent / "tests" / "data"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = "please now my the also still again really maybe with just today account card".split()
Edit = Callable[[str, np.random.Generator], str]


def word(text: str, rng: np.random.Generator) -> str:
    """One word replaced, dropped or put in."""
    words = text.split()
    place, kind = int(rng.integers(len(words))), int(rng.integers(3 if len(words) > 3 else 2))
    words[place : place + (kind != 1)] = [str(rng.choice(WORDS))] if kind < 2 else []
    return " ".join(words)


def two_words(text: str, rng: np.random.Generator) -> str:
    """Two words, in messages of at least eight."""
    return word(word(text, rng), rng) if len(text.split()) >= 8 else word(text, rng)


def typo(text: str, rng: np.random.Generator) -> str:
    """A letter dropped, replaced or swapped with the next."""
    place, kind = int(rng.choice([k for k, c in enumerate(text) if c.isalpha()])), int(rng.integers(3))
    middle = ["", str(rng.choice(list(LETTERS))), text[place : place + 2][::-1]][kind]
    return text[:place] + middle + text[place + 1 + (kind == 2) :]


def reordered(text: str, rng: np.random.Generator) -> str:
    """The first clause moved to the end."""
    parts = re.split(r"(?<=[.?!,;])\s+|\s+(?=(?:and|but|because|when|if|since|for|to)\b)", text)
    if len(parts) < 2:
        words = text.split()
        parts = [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
    return " ".join([*parts[1:], parts[0]])


def thanked(text: str, rng: np.random.Generator) -> str:
    """Politeness put around it."""
    before, after = (("Hi, ", ""), ("", " Thanks!"), ("", " Thank you in advance."), ("Please help: ", ""))[
        rng.integers(4)
    ]
    return f"{before}{text}{after}"


def inside(text: str, rng: np.random.Generator) -> str:
    """A longer message around it."""
    return f"Sorry to bother you, I am a customer of many years. {text} The help pages say nothing that fits my case."


EDITS: dict[str, Edit] = {
    "word": word,
    "two words": two_words,
    "typo": typo,
    "two typos": lambda text, rng: typo(typo(text, rng), rng),
    "case": lambda text, _: text.upper(),
    "reordered": reordered,
    "thanks": thanked,
    "inside a longer message": inside,
    "exact": lambda text, _: text,
}


def planted(name: str) -> list[tuple[str, str, tuple[Message, ...]]]:
    """Hand-written paraphrases: what each retells, its half, its turns."""
    rows = map(json.loads, (PLANTED / name).read_text(encoding="utf-8").splitlines())
    return [(row["retells"], row["half"], tuple(Message(**turn) for turn in row["messages"])) for row in rows]


def caught(found: Leakage, start: int = 0, end: int | None = None) -> float:
    """Share of rows with a leak."""
    return float(np.mean([leak is not None for leak in found.leaks[start:end]]))


def short_messages(data: Path, embedder: Embedder) -> None:
    """BANKING77."""
    real = read(data / "real.jsonl").conversations
    pool = read(data / "synthetic" / "frontier.jsonl", source="synthetic").conversations
    for name in ("holdout200.jsonl", "test.jsonl"):
        holdout = read(data / name).conversations
        rng = np.random.default_rng(0)
        found = leakage(pool, holdout, real, rule=RULE)
        print(f"banking77 against {name}: clean rows rejected {caught(found):.2%}")
        recall = {}
        for kind, edit in EDITS.items():
            chosen = rng.choice(len(holdout), 200, replace=False)
            rows = [_saying(holdout[k], edit(holdout[k].messages[0].content, rng)) for k in chosen.tolist()]
            recall[kind] = caught(leakage(rows, holdout, real, rule=RULE))
        near = np.mean([share for kind, share in recall.items() if kind not in ("exact", "inside a longer message")])
        print(f"  near copies {near:.1%}; " + ", ".join(f"{kind} {share:.1%}" for kind, share in recall.items()))
    told = planted("banking77_paraphrases.jsonl")
    by_id = {c.id: c for c in holdout}
    rows = [replace(by_id[other], id=f"p{k}", messages=turns) for k, (other, _, turns) in enumerate(told)]
    found = leakage(rows, holdout, real, rule=RULE, embed=embedder.encode_texts)
    states = {finding.state for finding in found.paraphrase}
    print(f"  {len(rows)} paraphrases: {caught(found):.1%} rejected by wording; row by row the check says {states}")
    _sets(pool, holdout, real, rows, embedder)


def _sets(
    pool: Sequence[Conversation],
    holdout: Sequence[Conversation],
    real: Sequence[Conversation],
    paraphrases: Sequence[Conversation],
    embedder: Embedder,
) -> None:
    rng = np.random.default_rng(1)
    sides = [Labelled(embedder.encode(rows), [c.topic for c in rows]) for rows in (holdout, real)]
    edits = list(EDITS.values())[:7]
    near = [_saying(c, edits[k % 7](c.messages[0].content, rng)) for k, c in enumerate(holdout) if k % 20 == 0]
    for name, rows, n in (
        ("nothing", [], 440), ("a tenth near copies", near, 440), ("a twentieth near copies", near[:22], 440),
        ("a tenth paraphrases", paraphrases, 440),
    ):  # fmt: skip
        seen = []
        for _ in range(20):
            chosen = [pool[k] for k in rng.choice(len(pool), n, replace=False)]
            mixed = [*chosen[: n - min(len(rows), 44)], *(rows[k] for k in rng.permutation(len(rows))[:44].tolist())]
            own = Labelled(embedder.encode(mixed), [c.topic for c in mixed])
            result = set_test(own, *sides, rng=rng)
            seen.append(result is not None and result.leans)
        print(f"  test of a whole set of {n}, planted {name}: leans in {np.mean(seen):.0%} of 20 draws")
    alarms = []
    vectors, topics = sides[1].vectors, np.array(sides[1].topics, object)
    own = Labelled(embedder.encode(pool), [c.topic for c in pool])
    for _ in range(40):
        order = rng.permutation(len(vectors))
        held, rest = order[:400], order[400:]
        result = set_test(own, *(Labelled(vectors[k], topics[k].tolist()) for k in (held, rest)), rng=rng)
        alarms.append(result is not None and result.leans)
    print(f"  the clean pool against 40 random splits of real data: false alarms {np.mean(alarms):.1%}")


def conversations(data: Path, embedder: Embedder) -> None:
    """TwACS."""
    rows = sorted(read(data / "labelled.jsonl").conversations, key=_by_hash)
    holdout, real = rows[:200], rows[200:]
    pool = read(data / "synthetic.jsonl", source="synthetic").conversations
    told = planted("twacs_paraphrases.jsonl")
    found = leakage(
        [*pool, *(Conversation(f"p-{other}", turns) for other, _, turns in told)],
        holdout,
        real,
        rule=RULE,
        embed=embedder.encode_texts,
    )
    print(f"twacs: clean rows rejected {caught(found, 0, len(pool)):.2%} of {len(pool)}")
    print(f"  limit {found.limits['paraphrase']}")
    for half in ("development", "final"):
        leaks = [leak for leak, (_, h, _) in zip(found.leaks[len(pool) :], told, strict=True) if h == half]
        print(f"  paraphrases, {half} half: {np.mean([leak is not None for leak in leaks]):.1%} of {len(leaks)} caught")


def _saying(conversation: Conversation, text: str) -> Conversation:
    return replace(conversation, messages=(Message("user", text),))


def _by_hash(conversation: Conversation) -> str:
    return hashlib.sha256(f"holdout {conversation.id}".encode()).hexdigest()


def main() -> int:
    """Prints the figures."""
    data = Path(os.environ["POSOLOGY_DATA"])
    embedder = Embedder(make_encoder("minilm"), rule=RULE, cache=VectorCache())
    short_messages(data / "banking77", embedder)
    conversations(data / "twacs", embedder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
