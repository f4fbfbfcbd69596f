"""Turns doses into training sets.

Arms are nested: within a design, kind and seed, the synthetic conversations of a smaller dose are the first ones of a
larger dose, so that two arms differ by what was added and by nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posology.records import ArmKind, Conversation, Design, Mixture


def counts(dose: float, n_real: int, n_pool: int, design: Design) -> tuple[int, int, int]:
    """How many real and synthetic conversations reach a dose.

    `augment` keeps all real data and adds `dose / (1 - dose)` times as many; dose 1, which no addition can reach, means
    the whole pool alone. `replace` keeps the size and swaps real for synthetic. A pool that is too small gives the dose
    it reaches: under `replace` real data fills the rest.

    Args:
        dose: In [0, 1].
        n_real: Real training conversations.
        n_pool: Synthetic conversations at hand.
        design: `augment` or `replace`.

    Returns:
        (real ones in the mixture, synthetic ones, synthetic ones that the pool lacks).
    """
    if design == "augment" and dose == 1:
        return 0, n_pool, 0
    wanted = round(dose / (1 - dose) * n_real) if design == "augment" else round(dose * n_real)
    synthetic = min(wanted, n_pool)
    real = n_real if design == "augment" else n_real - synthetic
    return real, synthetic, wanted - synthetic


def mixture(
    dose: float,
    kind: ArmKind,
    seed: int,
    *,
    design: Design,
    real: Sequence[Conversation],
    ranked: Sequence[Conversation],
    pool: Sequence[Conversation] | None = None,
    synthetic_weight: float = 1.0,
) -> Mixture:
    """The training set of one arm and seed.

    Args:
        dose: In [0, 1].
        kind: `selected` takes the first of `ranked`, `random` as many drawn from `pool`, without regard to anything.
        seed: Decides the draw of a control, and under `replace` which real conversations make room.
        design: `augment` or `replace`.
        real: Real training conversations.
        ranked: What was selected from the pool, in priority order.
        pool: What controls are drawn from: the pool before selection; `ranked` if None.
        synthetic_weight: Weight of a synthetic example in training.

    Returns:
        The mixture; empty of both only if dose 1 meets an empty pool.
    """
    n_real, n_synthetic, short = counts(dose, len(real), len(ranked), design)
    kept = real if n_real == len(real) else _draw(real, n_real, seed, stream=0)
    chosen = ranked[:n_synthetic] if kind == "selected" else _draw(pool or ranked, n_synthetic, seed, stream=1)
    return Mixture(
        dose=dose,
        kind=kind,
        design=design,
        seed=seed,
        real=tuple(kept),
        synthetic=tuple(chosen),
        n_pool_short=short,
        synthetic_weight=synthetic_weight,
    )


def _draw(rows: Sequence[Conversation], count: int, seed: int, *, stream: int) -> list[Conversation]:
    """The first `count` of one seeded shuffle, so that draws of different sizes are nested."""
    order = np.random.default_rng([seed, stream]).permutation(len(rows))
    return [rows[i] for i in order[:count]]


def highest_dose(n_real: int, n_pool: int, design: Design) -> float:
    """The highest dose, in steps of 0.05 below 1, that the pool reaches in full; 0 if it reaches none."""
    steps = [step / 20 for step in range(1, 20)]
    return max((dose for dose in steps if counts(dose, n_real, n_pool, design)[2] == 0), default=0.0)


def learning_parts(real: Sequence[Conversation]) -> list[Mixture]:
    """Random parts of the real data alone, for its learning curve: 1/4, 1/2 and 3/4 of it, thrice each."""
    return [
        Mixture(
            0.0, "random", "augment", seed, tuple(_draw(real, max(2, round(share * len(real))), seed, stream=2)), ()
        )
        for share in (0.25, 0.5, 0.75)
        for seed in range(3)
    ]


def arms(doses: Sequence[float], *, controls: bool) -> list[tuple[float, ArmKind]]:
    """The arms of a sweep: every dose by priority, and every dose above 0 by chance too."""
    plan: list[tuple[float, ArmKind]] = []
    for dose in doses:
        plan.append((dose, "selected"))
        if controls and dose > 0:
            plan.append((dose, "random"))
    return plan
