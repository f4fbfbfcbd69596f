"""Setting the holdout apart, and keeping what is trained on away from it.

Twins (the same message twice, exactly or nearly) move together, so that none straddles the line: a twin in training
would let a model pass by memory. Within that, the holdout has the topics in their proportions, and no topic loses its
last training examples to it.

The draw favours neither side on purpose, but a group larger than its topic's share of the holdout can only go to
training: a message that half of the customers send word for word is thus not in the holdout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from posology.errors import InputError, UsageError
from posology.matching.groups import groups
from posology.matching.near import Kind, Match, NearRule, between, strongest, within
from posology.records import Conversation, Rejection, topics_of

MIN_ROWS = 20
FINE_HOLDOUT = 200
_LARGE_GROUP = 0.05
_NAMED = 5
_LIKENESS: dict[Kind, str] = {"exact": "same text as", "near": "near copy of", "semantic": "same meaning as"}


@dataclass(frozen=True, slots=True)
class Split:
    """Which conversations are held out.

    Attributes:
        train: Positions of the training conversations, ascending.
        holdout: Positions of the held-out ones, ascending.
        groups: The group of twins of every conversation, shape (n,).
        warnings: What this holdout cannot do, in sentences.
    """

    train: list[int]
    holdout: list[int]
    groups: NDArray[np.int32]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Apart:
    """What may be trained on beside a holdout.

    Attributes:
        kept: Positions of the rows that match nothing in the holdout, ascending.
        rejections: The others, in their order: `leaked_exact`, `leaked_near` or `leaked_semantic`.
    """

    kept: list[int]
    rejections: list[Rejection]


def split_off_holdout(
    conversations: Sequence[Conversation],
    texts: Sequence[str],
    vectors: NDArray[np.float32] | None,
    *,
    n_holdout: int,
    seed: int,
    rule: NearRule,
) -> Split:
    """Draws a holdout: whole groups of twins, topics in their proportions.

    Shares are allotted to topics by the method of the largest remainder. A topic keeps two training examples where
    the size asked for allows it, else one; a topic whose examples are all twins stays in training whole. The size is
    met as nearly as groups allow, and never exceeds half of the data.

    Args:
        conversations: Labelled conversations.
        texts: Their texts.
        vectors: Their L2-normalised vectors, shape (n, d); used if the rule looks for semantic matches.
        n_holdout: How many to hold out.
        seed: Seed of the draw. Same conversations, same seed: same holdout, in whatever order they come (as long as
            ids are unique).
        rule: What makes twins.

    Returns:
        The split, with warnings.

    Raises:
        UsageError: The holdout would be empty, or all of the data.
        InputError: Too few rows or topics to split, or the groups of twins leave nothing to hold out.
        ValueError: Conversations, texts and vectors do not go together, or a conversation has no topic.
    """
    _check(conversations, texts, n_holdout)
    order = sorted(range(len(conversations)), key=lambda row: conversations[row].id)
    ordered_vectors = None if vectors is None else vectors[order]
    group_of = holdout_groups([texts[row] for row in order], ordered_vectors, rule)
    topics = [conversations[row].label for row in order]
    draw = _Draw.of(topics, group_of, min(n_holdout, len(order) // 2), np.random.default_rng(seed))
    draw.run()
    held = np.isin(group_of, sorted(draw.chosen))
    if not held.any():
        raise InputError(
            "no conversation can be held out: in every topic, all examples are copies of one another or the only one.",
            remedy="Add more real conversations, or give a holdout file of its own.",
        )
    holdout = sorted(order[k] for k in np.flatnonzero(held))
    train = sorted(order[k] for k in np.flatnonzero(~held))
    in_place = np.empty(len(order), np.int32)
    in_place[order] = group_of
    warnings = [
        *_size_warnings(len(holdout), n_holdout, len(order)),
        *_topic_warnings(topics, [conversations[row].label for row in holdout]),
        *_group_warnings(group_of),
    ]
    return Split(train, holdout, in_place, warnings)


def keep_apart(
    rows: Sequence[Conversation],
    texts: Sequence[str],
    vectors: NDArray[np.float32] | None,
    holdout: Sequence[Conversation],
    holdout_texts: Sequence[str],
    holdout_vectors: NDArray[np.float32] | None,
    *,
    rule: NearRule,
) -> Apart:
    """Rejects rows that match a held-out conversation, be they real or synthetic.

    Vectors count only if the rule has a cosine threshold, which the default has not: on short messages, cosine does
    not tell a paraphrase of a held-out message from an honest neighbour in its topic.

    Args:
        rows: Conversations to be trained on.
        texts: Their texts.
        vectors: Their L2-normalised vectors, or None.
        holdout: Held-out conversations.
        holdout_texts: Their texts.
        holdout_vectors: Their vectors, or None.
        rule: What counts as a match.

    Returns:
        The rows kept and the rejections, each naming its strongest match.

    Raises:
        ValueError: Conversations, texts and vectors do not go together.
    """
    if len(rows) != len(texts) or len(holdout) != len(holdout_texts):
        raise ValueError("as many texts as conversations are needed")
    leaks = strongest(between(texts, holdout_texts, vectors, holdout_vectors, rule=rule))
    return Apart(
        kept=[row for row in range(len(rows)) if row not in leaks],
        rejections=[_leaked(rows[row].id, holdout[leaks[row].right].id, leaks[row]) for row in sorted(leaks)],
    )


def holdout_groups(texts: Sequence[str], vectors: NDArray[np.float32] | None, rule: NearRule) -> NDArray[np.int32]:
    """Groups of twins among texts, the clusters of statistics that take conversations for independent draws.

    Args:
        texts: n texts.
        vectors: Their L2-normalised vectors, or None.
        rule: What makes twins.

    Returns:
        One group number a text, shape (n,), numbered in the order of first members.
    """
    return groups(len(texts), within(texts, vectors, rule=rule))


def _check(conversations: Sequence[Conversation], texts: Sequence[str], n_holdout: int) -> None:
    n = len(conversations)
    if n != len(texts):
        raise ValueError(f"{n} conversations, but {len(texts)} texts")
    if n < MIN_ROWS:
        raise InputError(
            f"{n} real conversations are too few to hold some out; at least {MIN_ROWS} are needed.",
            remedy="Add labelled real conversations; a few hundred make a useful holdout.",
        )
    n_topics = len(topics_of(conversations))
    if n_topics < 2:
        raise InputError(
            f"the real conversations have {n_topics} topic(s); a classifier needs at least 2 to tell apart.",
            remedy="Check which column holds the topic.",
        )
    if n_holdout < 1:
        raise UsageError(
            f"a holdout of {n_holdout} conversations makes no sense.",
            remedy=f"Ask for one of 1 to {n // 2} conversations.",
        )
    if n_holdout >= n:
        raise UsageError(
            f"a holdout of {n_holdout} would leave nothing of {n} real conversations to train on.",
            remedy=f"Ask for a holdout of at most {n // 2} conversations, half of them.",
        )


@dataclass(slots=True)
class _Draw:
    """The draw of groups into the holdout.

    Attributes:
        members: Per group, how many conversations of each topic it has.
        shuffled: The groups in random order.
        shares: Per topic, how many conversations are to be held out.
        caps: Per topic, how many may be.
        room: How many conversations the holdout still lacks.
        slack: How many more than asked for it may have at most.
    """

    members: list[Counter[str]]
    shuffled: list[int]
    shares: dict[str, int]
    caps: dict[str, int]
    room: int
    slack: int
    taken: Counter[str] = field(default_factory=Counter)
    chosen: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, topics: Sequence[str], group_of: NDArray[np.int32], size: int, rng: np.random.Generator) -> _Draw:
        members: list[Counter[str]] = [Counter() for _ in range(int(group_of.max()) + 1)]
        for topic, group in zip(topics, group_of.tolist(), strict=True):
            members[group][topic] += 1
        counts = Counter(topics)
        names = sorted(counts)
        names = [names[k] for k in rng.permutation(len(names))]  # by chance, not by name, where remainders tie
        spare = {name: max(0, counts[name] - 2) for name in names}
        caps = spare if sum(spare.values()) >= size else {name: counts[name] - 1 for name in names}
        shares = _shares(np.array([counts[t] for t in names]), np.array([caps[t] for t in names]), size)
        return cls(
            members=members,
            shuffled=rng.permutation(len(members)).tolist(),
            shares=dict(zip(names, shares.tolist(), strict=True)),
            caps=caps,
            room=size,
            slack=len(topics) // 2 - size,
        )

    def run(self) -> None:
        """Fills each topic's share, then what no group of its topic fitted into, then rounds to the nearest size."""
        for group in self.shuffled:
            if self.members[group].total() <= self._lack(self._home(group)):
                self._offer(group, self.room)
        left = [group for group in self.shuffled if group not in self.chosen]
        for group in sorted(left, key=lambda g: (-self._lack(self._home(g)), -self.members[g].total())):
            self._offer(group, self.room)
        left = [group for group in left if group not in self.chosen]
        for group in sorted(left, key=lambda g: self.members[g].total()):
            if self._offer(group, min(2 * self.room - 1, self.room + self.slack)):
                break

    def _home(self, group: int) -> str:
        """The topic that most of the group has."""
        return self.members[group].most_common(1)[0][0]

    def _lack(self, topic: str) -> int:
        return self.shares[topic] - self.taken[topic]

    def _offer(self, group: int, limit: int) -> bool:
        """Takes the group if it is no larger than `limit` and every topic in it keeps its training examples."""
        topics = self.members[group]
        if topics.total() > limit or any(self.taken[t] + n > self.caps[t] for t, n in topics.items()):
            return False
        self.taken += topics
        self.chosen.add(group)
        self.room -= topics.total()
        return True


def _shares(counts: NDArray[np.int64], caps: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Allots `size` seats in proportion to `counts`, by largest remainder, no party above its cap."""
    total = int(counts.sum())
    shares = np.minimum(size * counts // total, caps)
    while (missing := size - int(shares.sum())) > 0 and (shares < caps).any():
        below = np.flatnonzero(shares < caps)
        lack = (size * counts - shares * total)[below]
        shares[below[np.argsort(-lack, kind="stable")[:missing]]] += 1
    return shares


def _leaked(row: str, other: str, match: Match) -> Rejection:
    return Rejection(
        id=row,
        reason=f"leaked_{match.kind}",
        detail=f"{_LIKENESS[match.kind]} held-out conversation {other!r}",
        other_id=other,
        score=match.score,
        threshold=match.threshold,
    )


def _size_warnings(size: int, wanted: int, n: int) -> Iterable[str]:
    if wanted > n // 2:
        yield f"the holdout was limited to half of the {n} real conversations instead of {wanted}."
    if size != min(wanted, n // 2):
        yield (
            f"the holdout has {size} conversations instead of {min(wanted, n // 2)}: near copies stay together, and "
            "every topic keeps training examples."
        )
    if size < FINE_HOLDOUT:
        yield f"a holdout of {size} conversations resolves only large differences; {FINE_HOLDOUT} or more are better."


def _topic_warnings(topics: Sequence[str], held: Sequence[str]) -> Iterable[str]:
    missing = sorted(set(topics) - set(held))
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield (
            f"{len(missing)} of {len(set(topics))} topics have no holdout example, so nothing can be said of them: "
            f"{', '.join(missing[:_NAMED])}{more}."
        )


def _group_warnings(group_of: NDArray[np.int32]) -> Iterable[str]:
    largest = int(np.bincount(group_of).max())
    if largest > max(2, _LARGE_GROUP * len(group_of)):
        yield f"{largest} of {len(group_of)} real conversations are near copies of one another and stay together."
