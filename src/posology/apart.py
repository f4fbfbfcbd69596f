"""Keeps the holdout holy: draws it before anything else reads the data, and keeps everything that matches it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.config import Config
from posology.conversations.splitting import holdout_groups, keep_apart, split_off_holdout
from posology.errors import InputError
from posology.leaking import rejections
from posology.matching.near import NearRule
from posology.records import Conversation, Rejection, TextRule, topics_of
from posology.verification.leakage.check import leakage

# From where on two messages are one. Where a holdout is drawn, twins by meaning count too: a group goes to one side
# whole, which costs nothing. A real training row is dear, and two honest customers come as near as 0.9 by chance in
# short messages: only all but equal ones go. A row of the pool is cheap: see `posology.verification.leakage`.
DRAWN, GROUPED = NearRule(cosine=0.95), NearRule()
REAL_LEAK = NearRule(jaccard=0.95)
FEW = 200  # holdout conversations, below which a warning is due


@dataclass(frozen=True, slots=True)
class Parts:
    """The outcome of the split.

    Attributes:
        train: Real conversations to learn from.
        holdout: Real conversations to evaluate on.
        removed: Training rows that matched a given holdout.
        warnings: What the user should know about this split.
    """

    train: tuple[Conversation, ...]
    holdout: tuple[Conversation, ...]
    removed: tuple[Rejection, ...] = ()
    warnings: tuple[str, ...] = ()


def set_apart(
    config: Config,
    real: Sequence[Conversation],
    given: Sequence[Conversation],
    embed: Callable[[Sequence[Conversation]], NDArray[np.float32]],
) -> Parts:
    """Draws a holdout from real data, or keeps real data apart from a given one.

    Args:
        config: The settings.
        real: Real labelled conversations.
        given: A holdout that is used as it is; empty: one is drawn.
        embed: Text to vectors, used only where one is drawn.

    Raises:
        InputError: The text rule leaves most conversations without text, the two overlap by half, or fewer than two
            topics are left to train on.
    """
    _check_texts(config, real)
    parts = _kept_apart(config, real, given) if given else _drawn(config, real, embed)
    if len(topics_of(parts.train)) < 2:
        raise InputError(
            "fewer than two topics are left to train on once the holdout is apart.",
            file=config.data.real,
            remedy="Give a holdout that is not part of the real data, or leave --holdout away.",
        )
    return parts


def without_leaks(
    pool: Sequence[Conversation],
    holdout: Sequence[Conversation],
    rule: TextRule,
    *,
    real: Sequence[Conversation] = (),
    embed: Callable[[Sequence[str]], NDArray[np.float32]] | None = None,
) -> tuple[list[Conversation], list[Rejection]]:
    """The rows of a pool that do not match the holdout, and a rejection for each that does.

    Args:
        pool: What is to be trained on.
        holdout: Held-out conversations.
        rule: What of a conversation is compared.
        real: Real training rows, which say how near honest rows come.
        embed: Texts to vectors, for paraphrases; None: they are not looked for.
    """
    found = leakage(pool, holdout, real, rule=rule, embed=embed)
    clean = [row for row, leak in zip(pool, found.leaks, strict=True) if leak is None]
    return clean, rejections(pool, found)


def clusters(holdout: Sequence[Conversation], rule: TextRule) -> NDArray[np.int32]:
    """Groups of near-duplicate held-out conversations, shape (n,), for statistics that must not count them twice."""
    return holdout_groups(_texts(holdout, rule), None, GROUPED)


def _texts(conversations: Sequence[Conversation], rule: TextRule) -> list[str]:
    return [rule.text(conversation) for conversation in conversations]


def _check_texts(config: Config, real: Sequence[Conversation]) -> None:
    empty = sum(not text for text in _texts(real, config.text.rule))
    if empty > len(real) / 2:
        raise InputError(
            f"{empty} of {len(real)} conversations have no text in turns of {', '.join(config.text.roles)}.",
            file=config.data.real,
            remedy="Name the roles to be read with --roles.",
        )


def _drawn(
    config: Config, real: Sequence[Conversation], embed: Callable[[Sequence[Conversation]], NDArray[np.float32]]
) -> Parts:
    split = split_off_holdout(
        real,
        _texts(real, config.text.rule),
        embed(real),
        n_holdout=config.split.holdout_size,
        seed=config.split.seed,
        rule=DRAWN,
    )
    train, holdout = [real[i] for i in split.train], [real[i] for i in split.holdout]
    return Parts(tuple(train), tuple(holdout), (), tuple(split.warnings))


def _kept_apart(config: Config, real: Sequence[Conversation], holdout: Sequence[Conversation]) -> Parts:
    rule = config.text.rule
    apart = keep_apart(real, _texts(real, rule), None, holdout, _texts(holdout, rule), None, rule=REAL_LEAK)
    n_removed = len(apart.rejections)
    if n_removed > len(real) / 2:
        raise InputError(
            f"{n_removed} of {len(real)} real conversations stand in the holdout too, exactly or nearly.",
            file=config.data.holdout,
            remedy="A holdout must be kept out of training: leave --holdout away and one is split off --real.",
        )
    warnings = []
    if len(holdout) < FEW:
        warnings.append(f"a holdout of {len(holdout)} conversations resolves only large differences.")
    if n_removed:
        warnings.append(f"{n_removed} real training rows match the holdout and were removed from training.")
    return Parts(tuple(real[i] for i in apart.kept), tuple(holdout), tuple(apart.rejections), tuple(warnings))
