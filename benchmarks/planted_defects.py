"""What verification finds of defects that were planted on purpose, and which good rows it throws away.

    POSOLOGY_DATA=... python benchmarks/planted_defects.py [--seed 0] [--out FOLDER] [--show]

The pool is made from the frontier pool of BANKING77: one tenth each of eight defects (two of them in two grades), the
rest clean; some of the clean rows get an agent's turn that quotes the documentation as it is. Real training data gets
a few canaries (made-up personal data), and some candidates carry them. Nothing here was used to choose a threshold.
"""

import argparse
import json
import os
import re
import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from posology.config import Config, Data, load
from posology.conversations.docs import read_docs
from posology.conversations.reading import read
from posology.conversations.writing import write
from posology.outcomes import after
from posology.pipeline import Pipeline
from posology.ranking import quality_of, without_copies
from posology.records import Conversation, Message, Rejection
from posology.selection.duplicates import find_twins

HERE = Path(__file__).parent
PARAPHRASES = HERE.parent / "tests" / "data" / "banking77_paraphrases.jsonl"
ASKED = {
    "exact leak": 0.98, "near leak": 0.95, "paraphrase": None,
    "wrong topic, random": 0.95, "wrong topic, nearest": 0.70,
    "duplicate": 0.98, "wrong amount": 0.98, "personal datum": 0.98, "truncated": 0.98, "disclaimer": 0.98,
}  # fmt: skip
SHARE = {name: 0.05 if name.startswith(("exact", "near", "wrong topic")) else 0.1 for name in ASKED}
MOST_CLEAN_REJECTED = 0.05
FIRST = "Maren Oskar Tilda Piet Ilse Anselm Rosa Bram Edda Joost".split()
LAST = "Vandermolen Achterberg Osterlund Brackwell Thornquist Hollander Westergaard Kaminsky".split()
DISCLAIMERS = (
    "As an AI language model, I don't have access to your account, but you can check this in the app.",
    "I'm sorry, but as an AI I cannot look into individual transactions.",
    "I am an AI assistant and cannot perform actions on your account.",
    "I'm just a language model, so please contact the bank directly.",
    "I'm sorry, but I can't assist with that request.",
    "I cannot fulfill this request.",
    "As a large language model, I am unable to verify your identity.",
    "I'm an artificial intelligence and do not hold bank records.",
    "My training data does not include your bank's current fees.",
    "I was trained by a technology company and can't see your card.",
)


class Planter:
    """Makes each kind of defect out of a clean row."""

    def __init__(self, data: Path, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.real = list(read(data / "real.jsonl").conversations)
        self.holdout = list(read(data / "test.jsonl").conversations)
        self.docs = read_docs(data / "docs")
        self.topics = sorted({c.label for c in self.real})
        self.nearest: dict[str, str] = {}
        self.in_word: set[str] = set()
        self.canaries = [self._datum() for _ in range(20)]
        by_id = {c.id: c for c in self.holdout}
        lines = PARAPHRASES.read_text(encoding="utf-8").splitlines()
        told = [json.loads(line) for line in lines]
        self.paraphrases = [(row["messages"][0]["content"], by_id[row["retells"]].label) for row in told]
        self.leaked = list(self.rng.permutation(len(self.holdout)))

    def with_canaries(self) -> list[Conversation]:
        """Real training data, some rows of which hold a datum that must never come through."""
        rows = list(self.real)
        for place, canary in zip(
            self.rng.choice(len(rows), len(self.canaries), replace=False), self.canaries, strict=True
        ):
            rows[place] = _said(rows[place], f"{_text(rows[place])} {canary}")
        return rows

    def plant(  # noqa: C901 - one case a defect
        self, kind: str, row: Conversation, others: list[Conversation]
    ) -> Conversation:
        """A row with the defect."""
        pick = lambda items: items[int(self.rng.integers(len(items)))]  # noqa: E731
        match kind:
            case "exact leak":
                held = self.holdout[self.leaked.pop()]
                return replace(_said(row, _text(held)), topic=held.topic)
            case "near leak":
                held = self.holdout[self.leaked.pop()]
                return replace(_said(row, self._edited(_text(held))), topic=held.topic)
            case "paraphrase":
                text, topic = self.paraphrases.pop()
                return replace(_said(row, text), topic=topic)
            case "wrong topic, random":
                return replace(row, topic=pick([t for t in self.topics if t != row.topic]))
            case "wrong topic, nearest":
                return replace(row, topic=self.nearest[row.label])
            case "duplicate":
                twin = pick(others)
                return replace(_said(row, pick([_text(twin), _text(twin).lower()])), topic=twin.topic)
            case "wrong amount":
                quote = self.quote(row.label, with_amount=True)
                return _answered(row, self._falsified(quote))
            case "personal datum":
                datum = pick(self.canaries) if self.rng.random() < 0.5 else self._datum()
                return _said(row, f"{_text(row)} {datum}")
            case "truncated":
                text = _text(row)
                end = max(1, int(len(text) * self.rng.uniform(0.3, 0.9)))
                if text[end - 1].isalnum() and text[end].isalnum():
                    self.in_word.add(row.id)
                return _said(row, text[:end].rstrip())
            case "disclaimer":
                return _answered(row, pick(DISCLAIMERS))
        raise ValueError(kind)

    def quote(self, topic: str, *, with_amount: bool = False) -> str | None:
        """A sentence of the topic's documentation; None if it has no such one."""
        parts = [p for s in self.docs if s.topic == topic for p in re.split(r"(?<=[.!?])\s+", s.text)]
        fitting = [p for p in parts if re.search(r"[£€$]\d", p)] if with_amount else parts
        return fitting[int(self.rng.integers(len(fitting)))] if fitting else None

    def _falsified(self, quote: str) -> str:
        """The sentence with another amount, one that it does not hold itself."""
        amounts = list(re.finditer(r"[£€$](\d[\d,]*(?:\.\d\d)?)", quote))
        place = amounts[int(self.rng.integers(len(amounts)))]
        right = {float(m[1].replace(",", "")) for m in amounts}
        value = float(place[1].replace(",", ""))
        while value in right:
            value = (
                round(float(place[1].replace(",", "")) * self.rng.uniform(0.3, 3.0), 2 if "." in place[1] else 0) or 1.0
            )
        shown = f"{value:,.2f}" if "." in place[1] else f"{value:,.0f}"
        return quote[: place.start(1)] + shown + quote[place.end(1) :]

    def _edited(self, text: str) -> str:
        """One small change: two letters swapped, one dropped, a short word dropped, please, case."""
        at = int(self.rng.integers(1, max(2, len(text) - 2)))
        short = [w for w in text.split() if len(w) <= 3]
        ways = [
            text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :],
            text[:at] + text[at + 1 :],
            text.replace(f" {short[0]} ", " ", 1) if short else text + "!",
            text.rstrip("?.! ") + " please",
            "Hi, " + text[:1].lower() + text[1:],
            text.upper() if self.rng.random() < 0.5 else text.lower(),
        ]
        return ways[int(self.rng.integers(len(ways)))]

    def _datum(self) -> str:
        pick = lambda items: items[int(self.rng.integers(len(items)))]  # noqa: E731
        first, last = pick(FIRST), pick(LAST)
        digits = lambda n: "".join(map(str, self.rng.integers(0, 10, n)))  # noqa: E731
        body = "4" + digits(14)
        ways = [
            f"My email is {first.lower()}.{last.lower()}{digits(2)}@{pick(['gmail.com', 'outlook.com', 'proton.me'])}.",
            f"Call me on +44 7{digits(3)} {digits(6)}.",
            f"My card number is {_grouped(body + _check_digit(body))}.",
            f"My IBAN is {_iban('NABK' + digits(14))}.",
            f"My national insurance number is AB {digits(2)} {digits(2)} {digits(2)} C.",
        ]
        return pick(ways)


def _text(row: Conversation) -> str:
    return row.messages[0].content


def _said(row: Conversation, text: str) -> Conversation:
    return replace(row, messages=(Message("user", text),))


def _answered(row: Conversation, text: str) -> Conversation:
    return replace(row, messages=(*row.messages, Message("assistant", text)))


def _check_digit(body: str) -> str:
    doubled = [int(d) * (2 - place % 2) for place, d in enumerate(reversed(body))]
    return str(-sum(n - 9 if n > 9 else n for n in doubled) % 10)


def _grouped(number: str) -> str:
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def _iban(body: str) -> str:
    rest = int("".join(str(int(c, 36)) for c in body + "GB00")) % 97
    return f"GB{98 - rest:02d}{body}"


def nearest_topics(pipeline: Pipeline) -> dict[str, str]:
    """For each topic the one whose real training examples lie nearest."""
    train = pipeline.parts.train
    vectors = pipeline.embedder.encode(train, lambda *_: None)
    topics = sorted({c.label for c in train})
    labels = np.array([c.label for c in train])
    centres = np.stack([vectors[labels == topic].mean(axis=0) for topic in topics])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    near = centres @ centres.T - 2 * np.eye(len(topics))
    return {topic: topics[int(near[place].argmax())] for place, topic in enumerate(topics)}


def planted(planter: Planter, pool: list[Conversation]) -> tuple[list[Conversation], dict[str, str]]:
    """The pool with its defects, shuffled, and the defect of each row by id; clean rows are not named."""
    order = [pool[i] for i in planter.rng.permutation(len(pool))]
    defects: dict[str, str] = {}
    rows: list[Conversation] = []
    for kind, share in SHARE.items():
        wanted = round(share * len(pool))
        if kind == "paraphrase":
            wanted = min(wanted, len(planter.paraphrases))
        fitting = [row for row in order if kind != "wrong amount" or planter.quote(row.label, with_amount=True)]
        for row in fitting[:wanted]:
            order.remove(row)
            defects[row.id] = kind
            rows.append(row)
    clean = order
    made = [planter.plant(defects[row.id], row, clean) for row in rows]
    quoted = [
        _answered(row, quote) if place % 3 == 0 and (quote := planter.quote(row.label)) else row
        for place, row in enumerate(clean)
    ]
    whole = quoted + made
    return [whole[i] for i in planter.rng.permutation(len(whole))], defects


def main() -> None:
    """Plants, verifies, and prints recall by defect beside what was asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", action="store_true", help="Name the missed and the wrongly rejected rows.")
    options = parser.parse_args()
    data = Path(os.environ["POSOLOGY_DATA"]) / "banking77"
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        planter = Planter(data, options.seed)
        write(planter.with_canaries(), folder / "real.jsonl")
        config = load(None, {"out": folder / "run", "data.real": folder / "real.jsonl"})
        given = Data(
            real=folder / "real.jsonl", holdout=data / "test.jsonl", docs=data / "docs", catalog=data / "catalog.csv"
        )
        with Pipeline(config.model_copy(update={"data": given, "out": folder / "first"})) as first:
            planter.nearest = nearest_topics(first)
        pool, defects = planted(
            planter, list(read(data / "synthetic" / "frontier.jsonl", source="synthetic").conversations)
        )
        write(pool, folder / "pool.jsonl")
        given = given.model_copy(update={"synthetic": folder / "pool.jsonl"})
        report(config.model_copy(update={"data": given}), defects, planter.in_word, show=options.show)


def _copies(pipeline: Pipeline, pool: list[Conversation], quality: np.ndarray) -> list[Rejection]:
    """The duplicates that selection sets aside."""
    train, rule, settings = pipeline.parts.train, pipeline.config.text.rule, pipeline.config.select
    encode = pipeline.embedder.encode
    twins = find_twins([rule.text(c) for c in pool], encode(pool), [rule.text(c) for c in train], encode(train))
    return without_copies(pool, train, twins, quality, near=settings.near, semantic=settings.semantic)[1]


def report(config: Config, defects: dict[str, str], in_word: set[str], *, show: bool) -> None:
    """Verifies and prints."""
    with Pipeline(config) as pipeline:
        verdicts = pipeline.verdicts
        pool = pipeline.material.conversations("synthetic")
        moved = {v.id: v.topic for v, c in zip(verdicts, pool, strict=True) if v.topic != c.topic and v.passed}
        left = [(after(c, v.topic), v) for c, v in zip(pool, verdicts, strict=True) if v.passed]
        copies = _copies(pipeline, [c for c, _ in left], np.array([quality_of(v) for _, v in left]))
        seconds = (pipeline.folder.stage("verify").manifest or {})["timings"]["total"]
    found = {v.id: v.reasons[0] for v in verdicts if not v.passed} | {r.id: r.reason for r in copies}
    # A relabelled row is found too: its topic was called wrong.
    found = {id: "relabelled" for id in moved} | found
    # Of two equal rows one may stay, whichever was planted: the clean twin of a planted row is not wrongly rejected.
    planted_twins = {r.id for r in copies if defects.get(r.other_id or "") == "duplicate"}
    twins = {r.other_id for r in copies if r.reason.startswith("duplicate_in_pool")}
    hit: dict[str, list[bool]] = defaultdict(list)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for candidate in pool:
        kind = defects.get(candidate.id, "clean")
        caught = candidate.id in found or (kind == "duplicate" and candidate.id in twins)
        if kind == "clean" and candidate.id in planted_twins:
            caught = False
            del found[candidate.id]
        hit[kind].append(caught)
        if kind == "truncated":
            hit["within a word" if candidate.id in in_word else "between words"].append(caught)
        if candidate.id in found:
            reasons[kind][found[candidate.id]] += 1
        if show and (caught if kind == "clean" else not caught):
            print(
                f"  {kind}: {candidate.id} {found.get(candidate.id, 'missed')}: {candidate.messages[-1].content[:140]}"
            )
    print(f"{'defect':<22}{'rows':>6}{'found':>8}{'asked':>8}  by")
    for kind, asked in ASKED.items():
        rows = hit[kind]
        said = f"{asked:>8.2f}" if asked is not None else f"{'told':>8}"
        print(f"{kind:<22}{len(rows):>6}{np.mean(rows):>8.3f}{said}  {dict(reasons[kind].most_common(4))}")
    for where in ("within a word", "between words"):
        print(f"  cut {where:<16}{len(hit[where]):>6}{np.mean(hit[where]):>8.3f}")
    clean = hit["clean"]
    print(f"{'clean, rejected':<22}{len(clean):>6}{np.mean(clean):>8.3f}{'<= 0.05':>8}  {dict(reasons['clean'])}")
    print(f"verification took {seconds:.0f} s for {len(pool):,} candidates")


if __name__ == "__main__":
    main()
