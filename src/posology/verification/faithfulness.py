"""Faithfulness: what the agent states as a figure must stand somewhere.

Every amount, percentage, period, limit, link, telephone number and product name in an agent's turn is looked for in the
documentation of the topic, in the rest of it where that speaks of the same thing (policies quote each other), in the
catalog rows of the products that are named, and in the customer's words. What follows from known figures by a
percentage, a sum or a difference counts as known.

Where a turn follows a sentence of the documentation closely, that sentence decides: an amount of the same section that
belongs to another rule is no support. Counts ("3 attempts") are held only against counts of the same thing, since
conversations are full of others. What is *said* of a figure is for a judge to read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from posology.records import Conversation, DocSection, Finding
from posology.verification.facts import Fact, Key, facts

CHECK = "faithful"
FEWEST, USUAL = 30, 0.25  # real conversations, and share of them, whose agents state what stands nowhere
ABOUT = 0.05  # how far "about so much" may be off
SHARED, SHARE = 2, 0.4  # words, and share of its words, that a sentence shares with another about the same thing
FOLLOWS, SLACK = 0.7, 0.15  # from what share on a sentence follows another, and what counts as following as closely
COMMON = 0.1  # a word in more of the documentation's sentences than this says little about a sentence

_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")
_WORD = re.compile(r"[^\W\d_]{4,}")
_NAMEWORD = re.compile(r"[^\W_]+")
_PHRASE = re.compile(r"(?<![.!?:]\s)(?<!^)\b((?:[A-Z][\w'-]+ )+)([A-Za-z][\w'-]+)")


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of what is known, with its facts and the words that say what it is about."""

    topic: str | None
    stated: tuple[Fact, ...]
    keys: frozenset[Key]
    words: frozenset[str]


class Faithfulness:
    """The check, with what figures are held against.

    Args:
        docs: Sections of the support documentation.
        catalog: Rows of the product catalog, the product's name first.
        real: Real training conversations. Where more than `USUAL` of those in which an agent speaks fail too, the
            documentation does not cover what agents say, and nothing is scored.
    """

    def __init__(
        self,
        docs: Sequence[DocSection],
        catalog: Sequence[Mapping[str, str]] = (),
        real: Sequence[Conversation] = (),
    ) -> None:
        self._known = bool(docs or catalog)
        self._sentences, self._common = _sentences(docs, catalog)
        self._of_topic: dict[str | None, list[_Sentence]] = {}
        for sentence in self._sentences:
            self._of_topic.setdefault(sentence.topic, []).append(sentence)
        everything = "\n".join(
            [*(f"{s.heading}\n{s.text}" for s in docs), *(v for row in catalog for v in row.values())]
        )
        self._contacts = {key for key in _keys(everything) if key[0] == "contact"}
        self._vocabulary = frozenset(re.findall(r"[\w'-]+", everything.lower()))
        self._products = _Products(catalog)
        spoken = [finding for finding in map(self._finding, real) if finding.state != "unscored"]
        self.usual = sum(f.state == "fail" for f in spoken) / len(spoken) if len(spoken) >= FEWEST else 0.0

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate; the score is the share of the agent's figures that are known.

        Unscored are candidates without an agent's turn, and all of them where there is neither documentation nor a
        catalog, or one that real agents do not keep to either.
        """
        if self.usual > USUAL:
            detail = (
                f"figures stand nowhere in {self.usual:.0%} of real conversations either: the docs do not cover them"
            )
            return [Finding(CHECK, "unscored", detail=detail)] * len(candidates)
        return [self._finding(candidate) for candidate in candidates]

    def _finding(self, candidate: Conversation) -> Finding:
        said = [m.content for m in candidate.messages if m.role == "assistant" and m.content.strip()]
        if not self._known:
            return Finding(CHECK, "unscored", detail="there is neither documentation nor a catalog")
        if not said:
            return Finding(CHECK, "unscored", detail="no agent speaks in it")
        customer = "\n".join(m.content for m in candidate.messages if m.role == "user")
        told = _keys(customer)
        own = {key for sentence in self._of_topic.get(candidate.topic, ()) for key in sentence.keys}
        priced = self._products.prices("\n".join([customer, *said]))
        known = own | priced | told | self._contacts
        known |= _derived(told | priced, known)
        n, missing = 0, Counter[str]()
        for turn in said:
            for sentence in _SENTENCE.split(turn):
                stated = facts(sentence)
                n += len(stated)
                words = _words(sentence) - self._common
                missing.update(
                    fact.kind for fact in stated if not self._stands(fact, words, candidate.topic, known, told)
                )
            if invented := self._products.invented(turn, self._vocabulary, customer):
                n, missing["product"] = n + invented, missing["product"] + invented
        if not missing:
            return Finding(CHECK, "pass", 1.0, 1.0, f"{n} figures, all known" if n else "the agent states no figure")
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(missing.items()))
        detail = f"{missing.total()} of {n} figures of the agent stand nowhere ({kinds})"
        return Finding(CHECK, "fail", round(1 - missing.total() / n, 4), 1.0, detail)

    def _stands(self, fact: Fact, words: frozenset[str], topic: str | None, known: set[Key], told: set[Key]) -> bool:
        """Whether a fact of a sentence with these words is known."""
        same = set(_alike(fact))
        if same & told:
            return True
        own = self._of_topic.get(topic, ())
        if fact.kind == "count":
            return self._counts(fact, own)
        followed = _followed(words, [sentence for sentence in own if any(s.kind == fact.kind for s in sentence.stated)])
        if followed and fact.kind in ("amount", "percentage"):
            return any(same & sentence.keys or _about(fact, sentence.keys) for sentence in followed)
        if same & known or _about(fact, known):
            return True
        return any(
            same & sentence.keys
            and len(shared := words & sentence.words) >= SHARED
            and len(shared) >= SHARE * len(words)
            for sentence in self._sentences
        )

    @staticmethod
    def _counts(fact: Fact, own: Sequence[_Sentence]) -> bool:
        """Whether a count does not contradict the topic's documentation: no other number of the same thing there."""
        if fact.value < 2 or not fact.noun:
            return True
        numbers = {other.value for s in own for other in s.stated if other.kind == "count" and other.noun == fact.noun}
        return not numbers or fact.value in numbers or any(other.value == fact.value for s in own for other in s.stated)


class _Products:
    """What a catalog says: prices of products that are named, and which words make a product's name."""

    def __init__(self, catalog: Sequence[Mapping[str, str]]) -> None:
        names = [next(iter(row.values())) for row in catalog]
        self._names = [frozenset(word.lower() for word in _NAMEWORD.findall(name)) for name in names]
        seen = Counter(word for words in self._names for word in words)
        self._telling = [
            frozenset(word for word in words if seen[word] <= 3 and len(word) > 2) for words in self._names
        ]
        self._prices = [_prices(row) for row in catalog]
        kinds = [value for row in catalog for key, value in row.items() if re.search(r"categ|type|kind", key.lower())]
        ends = (re.findall(r"[A-Za-z][\w'-]+", text) for text in [*names, *kinds])
        self._heads = frozenset(words[-1].lower().rstrip("s") for words in ends if words)

    def prices(self, text: str) -> set[Key]:
        """The prices of the products that a text names, whole or by a word that few names have."""
        said = frozenset(word.lower() for word in _NAMEWORD.findall(text))
        named = (
            (words and words <= said) or telling & said
            for words, telling in zip(self._names, self._telling, strict=True)
        )
        return {key for is_named, keys in zip(named, self._prices, strict=True) if is_named for key in keys}

    def invented(self, turn: str, vocabulary: frozenset[str], customer: str) -> int:
        """How many names read like products ("the Platinum card") and hold a word that is known nowhere."""
        if not self._heads:
            return 0
        known = vocabulary | frozenset(re.findall(r"[\w'-]+", customer.lower()))
        return len(
            {
                match[0]
                for match in _PHRASE.finditer(turn)
                if match[2].lower().rstrip("s") in self._heads and any(w.lower() not in known for w in match[1].split())
            }
        )


def _sentences(
    docs: Sequence[DocSection], catalog: Sequence[Mapping[str, str]]
) -> tuple[list[_Sentence], frozenset[str]]:
    """What is known, sentence by sentence, and the words that are too common to say what a sentence is about."""
    parts = [(s.topic, s.heading, part) for s in docs for part in _SENTENCE.split(s.text) if part.strip()]
    parts += [
        (None, next(iter(row.values())), part) for row in catalog for v in row.values() for part in _SENTENCE.split(v)
    ]
    words = [_words(f"{heading} {part}") for _, heading, part in parts]
    seen = Counter(word for each in words for word in each)
    common = frozenset(word for word, n in seen.items() if n > COMMON * max(len(parts), 50))
    found = []
    for (topic, _, part), each in zip(parts, words, strict=True):
        stated = (*facts(part, lenient=True), *facts(part))
        if stated:
            found.append(_Sentence(topic, stated, frozenset(fact.key for fact in stated), each - common))
    return found, common


def _followed(words: frozenset[str], sentences: Sequence[_Sentence]) -> list[_Sentence]:
    """The sentences that one with these words follows closely; empty if it follows none."""
    if len(words) < 3 or not sentences:
        return []
    closeness = [len(words & sentence.words) / len(words) for sentence in sentences]
    best = max(closeness)
    return [s for s, c in zip(sentences, closeness, strict=True) if c >= best - SLACK] if best >= FOLLOWS else []


def _words(text: str) -> frozenset[str]:
    """The beginnings of the longer words: enough to see that "refunded" and "refunds" speak of one thing."""
    return frozenset(word[:5] for word in _WORD.findall(text.lower()))


def _keys(text: str) -> set[Key]:
    """Every fact of a text that others are held against."""
    return {fact.key for fact in (*facts(text, lenient=True), *facts(text))}


def _prices(row: Mapping[str, str]) -> set[Key]:
    """The prices of a product, in whatever currency the name of the column says."""
    values = [value for key, value in row.items() if re.search(r"price|fee|cost|amount", key, re.IGNORECASE)]
    return {("amount", "", fact.value, "") for value in values for fact in facts(value)}


def _alike(fact: Fact) -> Iterable[Key]:
    """The keys that say the same as a fact: an amount without currency may be one of any, or a bare number."""
    yield fact.key
    if fact.kind in ("amount", "count"):
        codes = ("", "gbp", "eur", "usd", "jpy", "inr", "chf") if not fact.unit else ("",)
        yield from (("amount", code, fact.value, "") for code in codes)
        yield ("count", "", fact.value, "")


def _about(fact: Fact, known: Iterable[Key]) -> bool:
    """Whether a fact that is given as "about so much" is near a known one."""
    return fact.hedged and any(
        kind == fact.kind
        and (unit == fact.unit or (kind == "amount" and not (unit and fact.unit)))
        and abs(value - fact.value) <= ABOUT * value
        for kind, unit, value, _ in known
    )


def _derived(told: set[Key], known: set[Key]) -> set[Key]:
    """What follows from the customer's amounts and the prices: a percentage of one, the sum or difference of two.

    Of periods, what is left of a known one after the customer's.
    """
    amounts = [(unit, value) for kind, unit, value, _ in told if kind in ("amount", "count")]
    shares = {value / 100 for kind, _, value, _ in known if kind == "percentage"}
    found = {
        ("amount", unit, round(result, 2), "")
        for unit, value in amounts
        for share in shares
        for result in (value * share, value * (1 - share), value * (1 + share))
    }
    for (unit, one), (other, two) in combinations(amounts, 2):
        if unit == other:
            found |= {("amount", unit, round(one + two, 2), ""), ("amount", unit, round(abs(one - two), 2), "")}
    spent = [(unit, value) for kind, unit, value, _ in told if kind == "period"]
    whole = [(unit, value) for kind, unit, value, _ in known if kind == "period"]
    found |= {
        ("period", unit, value - less, "") for unit, value in whole for u, less in spent if u == unit and value > less
    }
    return found
