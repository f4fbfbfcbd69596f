"""Everything that indicators look at, computed once for every row: real rows first, then synthetic ones.

An indicator is then a function of row numbers, so that hundreds of resamples cost little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.collapse import surface
from posology.collapse.bags import Bags, distinct, grams, pack
from posology.matching.groups import groups
from posology.matching.near import NearRule, within
from posology.records import Conversation, TextRule

LONGEST = 4
OPENING = 3  # words
SENTENCE_WORDS = 6  # a shorter sentence is no template
COMMON = 150  # words that a template keeps
DIRECTIONS = 64

_CAPITALISED = re.compile(r"\b[A-Z][a-z]+(?:[-'][A-Z]?[a-z]+)? [A-Z][a-z]+(?:[-'][A-Z]?[a-z]+)?\b")
_INTRODUCED = re.compile(r"\b(?:my name is|my name's|name:|regards,?|sincerely,?) +([a-z]+ [a-z]+)\b", re.IGNORECASE)
_NO_NAMES = frozenset(
    "the this that these those my your our their his her its i you we they he she it a an and or but so if when why "
    "how what where who can could would will should do does did is are was were have has had am been please thank "
    "thanks hi hello hey dear good no not never just still also then there here for from with about after before "
    "since because once at in on to of by as some any all every each".split()
)


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of n rows.

    Attributes:
        conversations: The rows; the first `n_real` are real.
        n_real: How many are real.
        texts: Their texts under the text rule.
        topics: Number of the topic in `topic_names`, -1 for none.
        topic_names: The topics, sorted.
        n_words: Words of each text.
        grams: Their n-grams, n = 1 to 4.
        distinct_grams: Their distinct n-grams of the longest kind.
        openings: Number of each row's first three words; a text with fewer has a number of its own.
        opening_names: What each number stands for.
        templates: Sentences with all but the commonest words blanked.
        template_list: What each number of `templates` stands for.
        names: Full names in each row.
        name_list: What each number of `names` stands for.
        twins: Number of the group of near copies that each row belongs to.
        vectors: Unit vectors along the leading directions of all rows, shape (n, d).
        features: Shape (n, len(surface.COLUMNS)).
    """

    conversations: tuple[Conversation, ...]
    n_real: int
    texts: tuple[str, ...]
    topics: NDArray[np.intp]
    topic_names: tuple[str, ...]
    n_words: NDArray[np.intp]
    grams: tuple[Bags, ...]
    distinct_grams: Bags
    openings: NDArray[np.intp]
    opening_names: tuple[str, ...]
    templates: Bags
    template_list: tuple[str, ...]
    names: Bags
    name_list: tuple[str, ...]
    twins: NDArray[np.intp]
    vectors: NDArray[np.float32]
    features: NDArray[np.float64]

    @property
    def real(self) -> NDArray[np.intp]:
        """The rows of real conversations."""
        return np.arange(self.n_real)

    @property
    def synthetic(self) -> NDArray[np.intp]:
        """The rows of synthetic conversations."""
        return np.arange(self.n_real, len(self.texts))

    def feature(self, name: str) -> NDArray[np.float64]:
        """One column of `features`."""
        column: NDArray[np.float64] = self.features[:, surface.COLUMNS.index(name)]
        return column


def make_table(
    real: Sequence[Conversation],
    synthetic: Sequence[Conversation],
    vectors: NDArray[np.float32],
    rule: TextRule,
    *,
    documents: Iterable[str] = (),
) -> Table:
    """Computes everything once.

    Args:
        real: Real conversations.
        synthetic: Synthetic ones.
        vectors: Their unit vectors, real ones first, shape (n, dim).
        rule: What their text is.
        documents: Texts of the company, whose words are no misspellings.

    Raises:
        ValueError: There is not one vector a conversation.
    """
    rows = (*real, *synthetic)
    if len(vectors) != len(rows):
        raise ValueError(f"{len(rows)} conversations, but {len(vectors)} vectors")
    texts = [rule.text(c) for c in rows]
    words = [surface.words_of(text) for text in texts]
    bags, vocabulary = pack(words)
    all_grams = grams(bags, LONGEST)
    features = np.array([surface.row_features(_turns(c, rule), _n_turns(c)) for c in rows]).reshape(len(rows), -1)
    known = {word for text in documents for word in surface.words_of(text)}
    features[:, surface.COLUMNS.index("typos")] = surface.misspelt_rows(words, len(real), known)
    names = sorted({c.topic for c in rows if c.topic is not None})
    number = {name: place for place, name in enumerate(names)}
    openings, opening_list = pack(
        [" ".join(said[:OPENING]) if len(said) >= OPENING else row] for row, said in enumerate(words)
    )
    templates, template_list = pack(_templates(texts, _common(bags, vocabulary)))
    people, name_list = pack(map(full_names, texts))
    return Table(
        conversations=rows,
        n_real=len(real),
        texts=tuple(texts),
        topics=np.array([-1 if c.topic is None else number[c.topic] for c in rows], np.intp),
        topic_names=tuple(names),
        n_words=np.array([len(said) for said in words], np.intp),
        grams=tuple(all_grams),
        distinct_grams=distinct(all_grams[-1]),
        openings=openings.ids.astype(np.intp),
        opening_names=tuple(map(str, opening_list)),
        templates=templates,
        template_list=tuple(map(str, template_list)),
        names=people,
        name_list=tuple(map(str, name_list)),
        twins=groups(len(texts), within(texts, rule=NearRule())).astype(np.intp),
        vectors=leading(vectors),
        features=features,
    )


def _turns(conversation: Conversation, rule: TextRule) -> list[str]:
    turns = [m.content.strip() for m in conversation.messages if m.role in rule.roles]
    return [turn for turn in turns[: rule.max_turns] if turn]


def _n_turns(conversation: Conversation) -> int:
    return sum(m.role in ("user", "assistant") for m in conversation.messages)


def full_names(text: str) -> list[str]:
    """Distinct pairs of capitalised words that may be a person's (or a product's) name, in lower case."""
    found = [pair.lower() for pair in (*_CAPITALISED.findall(text), *_INTRODUCED.findall(text))]
    return sorted({pair for pair in found if _NO_NAMES.isdisjoint(pair.split())})


def _common(bags: Bags, vocabulary: Sequence[object]) -> frozenset[str]:
    """The words that the most rows hold."""
    held = distinct(bags)
    times = np.bincount(held.ids, minlength=held.n_kinds)
    order = np.argsort(-times, kind="stable")[:COMMON]
    return frozenset(str(vocabulary[i]) for i in order)


def _templates(texts: Iterable[str], common: frozenset[str]) -> Iterator[list[str]]:
    """The sentences of each text with all but common words blanked, where enough of it stays to be a template."""
    for text in texts:
        found = []
        for sentence in surface.SENTENCE.split(text):
            said = surface.words_of(sentence)
            kept = sum(word in common for word in said)
            if len(said) >= SENTENCE_WORDS and kept >= len(said) / 2:
                found.append(" ".join(word if word in common else "*" for word in said))
        yield found


def leading(vectors: NDArray[np.float32], most: int = DIRECTIONS) -> NDArray[np.float32]:
    """Vectors along their leading directions, unit length again; zero vectors stay zero.

    All rows enter alike, real and synthetic, so that neither side fits the directions better by construction. What a
    diversity score loses by truncation it gains in convergence (Ospanov and Farnia, "Do Vendi Scores Converge with
    Finite Samples?", 2025).
    """
    if vectors.shape[1] > most:
        exact = vectors.astype(np.float64)
        axes = np.linalg.eigh(exact.T @ exact)[1][:, -most:]
        # The sign of an axis is arbitrary; fixed, so that equal input gives equal bytes.
        axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(most)])
        vectors = (exact @ axes).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 1e-6)
    return unit
