"""How often a sweep is called "better" when nothing is better, and how often a real gain is found.

Simulates sweeps whose arms are equally good (or better by a known amount), judges each with the product's own
`evaluate`, and prints a table. Every conversation has a difficulty that all arms share, a part that only variants of one
arm share, and a part of its own in each variant; a seed may shift a variant as a whole. The shares set the discordance.

    python benchmarks/null_sweeps.py                 # everything, a few minutes
    python benchmarks/null_sweeps.py --only 'n=200' --sweeps 200

Exits with 1 if a null scenario is called "better" in more than 5 % of the sweeps, allowing for the simulation's own
error, or if a gain of 13 points at n=200 is found in fewer than 95 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from posology.evaluation.dose_response import DoseResponse, EvaluationSettings, evaluate
from posology.evaluation.metrics import wilson
from posology.records import ArmResult

DOSES = (0.0, 0.1, 0.3, 0.5, 1.0)
N_TOPICS = 10


@dataclass(frozen=True)
class Scenario:
    """One kind of sweep.

    Attributes:
        name: For the table; "+" marks a true gain.
        n: Held-out conversations.
        seeds: Variants an arm; with `deterministic`, all alike.
        accuracy: True accuracy of dose 0.
        shared: Share of the latent variance that is the conversation's own difficulty.
        by_arm: Share that the variants of one arm have in common.
        gains: True gain of each selected dose above 0.
        cluster: Near-duplicates a group; they share all but a tenth of every part.
        seed_shift: Standard deviation of a variant's true accuracy around its arm's.
        deterministic: Seeds repeat each other.
        doses: Selected doses.
        controls: Random arms, one a dose, with no gain.
        adaptive: Doses added one by one where `DoseResponse.propose` wants them.
        sweeps: Share of the sweeps asked for that this scenario gets.
    """

    name: str
    n: int = 200
    seeds: int = 1
    accuracy: float = 0.75
    shared: float = 0.85
    by_arm: float = 0.15
    gains: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    cluster: int = 1
    seed_shift: float = 0.0
    deterministic: bool = False
    doses: tuple[float, ...] = DOSES
    controls: bool = True
    adaptive: int = 0
    sweeps: float = 1.0


FIVE = {"seeds": 5, "by_arm": 0.08}
SCENARIOS = (
    Scenario("n=200, 1 seed"),
    Scenario("n=200, 5 seeds", **FIVE),
    Scenario("n=200, 5 seeds all alike", seeds=5, deterministic=True),
    Scenario("n=200, 1 seed, low discordance", shared=0.92, by_arm=0.08),
    Scenario("n=200, 1 seed, strongly correlated", shared=0.995, by_arm=0.005),
    Scenario("n=200, 1 seed, nearly identical", shared=0.9995, by_arm=0.0005),
    Scenario("n=200, 5 seeds, strongly correlated", shared=0.995, by_arm=0.002, seeds=5),
    Scenario("n=200, 1 seed, nearly independent", shared=0.05, by_arm=0.95),
    Scenario("n=200, 5 seeds, nearly independent", shared=0.05, by_arm=0.45, seeds=5),
    Scenario("n=200, 5 seeds, seeds differ by 2 points", seed_shift=0.02, **FIVE),
    Scenario("n=200, 2 seeds, seeds differ by 4 points", seeds=2, by_arm=0.08, seed_shift=0.04),
    Scenario("n=200, 1 seed, accuracy 0.95", accuracy=0.95),
    Scenario("n=200, 5 seeds, accuracy 0.95", accuracy=0.95, **FIVE),
    Scenario("n=200, 1 seed, accuracy 0.99", accuracy=0.99),
    Scenario("n=50, 1 seed", n=50),
    Scenario("n=200, 1 seed, groups of 5", cluster=5),
    Scenario("n=200, 5 seeds, groups of 20", cluster=20, **FIVE),
    Scenario("n=200, 1 seed, 19 doses", doses=(0.0, *(round(0.05 * i, 2) for i in range(1, 20))), gains=(0.0,) * 19),
    Scenario("n=200, 1 seed, one dose", doses=(0.0, 0.3), gains=(0.0,), controls=False),
    Scenario("n=200, 1 seed, 3 doses + 4 adaptive", doses=(0.0, 0.2, 0.6), gains=(0.0, 0.0), adaptive=4, sweeps=0.4),
    Scenario("n=3080, 1 seed", n=3080, sweeps=0.3),
    Scenario("n=3080, 5 seeds", n=3080, sweeps=0.3, **FIVE),
    Scenario("n=3080, 5 seeds, seeds differ by 2 points", n=3080, seed_shift=0.02, sweeps=0.3, **FIVE),
    Scenario("n=200, 1 seed, all doses +13", gains=(0.13,) * 4),
    Scenario("n=200, 1 seed, one dose +13", gains=(0.0, 0.13, 0.0, 0.0)),
    Scenario("n=200, 5 seeds, all doses +13", gains=(0.13,) * 4, **FIVE),
    Scenario("n=200, 5 seeds, one dose +13", gains=(0.0, 0.13, 0.0, 0.0), **FIVE),
    Scenario("n=200, 1 seed, all doses +6", gains=(0.06,) * 4),
    Scenario("n=200, 5 seeds, all doses +6", gains=(0.06,) * 4, **FIVE),
    Scenario("n=200, 1 seed, all doses +3", gains=(0.03,) * 4),
    Scenario("n=200, 5 seeds, all doses +3", gains=(0.03,) * 4, **FIVE),
    Scenario("n=3080, 1 seed, all doses +3", n=3080, gains=(0.03,) * 4, sweeps=0.1),
    Scenario("n=200, 1 seed, +4 +13 +7 -20", gains=(0.04, 0.13, 0.07, -0.20)),
)


class Simulation:
    """Holdout and difficulties of one simulated sweep; makes arms on demand."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self.scenario, self.rng = scenario, rng
        self.groups = np.arange(scenario.n) // scenario.cluster
        self.truth = rng.integers(N_TOPICS, size=scenario.n)
        self.difficulty = self.normal()

    def normal(self) -> np.ndarray:
        """Standard normal numbers, one a conversation, alike within groups of near-duplicates."""
        own = self.rng.standard_normal(self.scenario.n)
        if self.scenario.cluster == 1:
            return own
        return np.sqrt(0.9) * self.rng.standard_normal(self.groups.max() + 1)[self.groups] + np.sqrt(0.1) * own

    def arm(self, dose: float, kind: str = "selected", gain: float = 0.0) -> ArmResult:
        """The predictions of one arm of known accuracy."""
        s = self.scenario
        common = np.sqrt(s.shared) * self.difficulty + np.sqrt(s.by_arm) * self.normal()
        rows = []
        for _ in range(1 if s.deterministic else s.seeds):
            accuracy = np.clip(s.accuracy + gain + s.seed_shift * self.rng.standard_normal(), 0.01, 0.999)
            latent = common + np.sqrt(max(1 - s.shared - s.by_arm, 0.0)) * self.normal()
            rows.append(latent < norm.ppf(accuracy))
        correct = np.array(rows * (s.seeds // len(rows)))
        wrong = (self.truth + 1 + self.rng.integers(N_TOPICS - 1, size=correct.shape)) % N_TOPICS
        predicted = np.where(correct, self.truth, wrong).astype(np.int32)
        synthetic = round(2000 * dose)
        seeds = tuple(range(s.seeds))
        probability = np.full(predicted.shape, 0.5, dtype=np.float32)
        return ArmResult(dose, kind, dose, 2000, synthetic, 0, seeds, predicted, probability)  # type: ignore[arg-type]


def judge(simulation: Simulation, draws: int, seed: int) -> DoseResponse:
    """Evaluates one simulated sweep, adding doses where the scenario is adaptive."""
    s = simulation.scenario
    arms = [simulation.arm(dose, gain=gain) for dose, gain in zip(s.doses, (0.0, *s.gains), strict=True)]
    if s.controls:
        arms += [simulation.arm(dose, "random") for dose in s.doses[1:]]
    settings = EvaluationSettings(draws=draws, seed=seed)
    names = [f"topic {k}" for k in range(N_TOPICS)]
    real = dict.fromkeys(names, 20)
    response = evaluate(arms, simulation.truth, simulation.groups, names, real, settings=settings)
    for _ in range(s.adaptive):
        proposal = response.propose(min_gain=0.0)
        if proposal is None:
            break
        arms.append(simulation.arm(proposal.dose))
        response = evaluate(arms, simulation.truth, simulation.groups, names, real, settings=settings)
    return response


def measure(scenario: Scenario, sweeps: int, draws: int, seed: int) -> dict[str, float]:
    """Rates over the simulated sweeps."""
    start = time.perf_counter()
    counts = dict.fromkeys(("better", "harmful", "no_worse", "right", "uncovered", "cliff"), 0)
    discordance, resolvable = 0.0, 0.0
    truth = np.array([*scenario.gains, *((0.0,) * (len(scenario.gains) * scenario.controls))])
    for i in range(sweeps):
        simulation = Simulation(scenario, np.random.default_rng([seed, i]))
        response = judge(simulation, draws, i)
        status = response.recommendation.status
        counts[status] = counts.get(status, 0) + 1
        counts["cliff"] += response.cliff.dose is not None
        if not scenario.adaptive:
            order = sorted(response.arms[1:], key=lambda a: (a.arm.kind != "selected", a.arm.dose))
            deltas = [a.delta_vs_real_only for a in order]
            counts["uncovered"] += any(not d.low <= t <= d.high for d, t in zip(deltas, truth, strict=True))
        right = [a.arm.predicted[0] == simulation.truth for a in response.arms]
        discordance += float(np.mean([(r != right[0]).mean() for r in right[1:]]))
        resolvable += response.smallest_resolvable_difference
        counts["right"] += (
            response.recommendation.dose > 0
            and scenario.gains[scenario.doses.index(response.recommendation.dose) - 1] >= max(scenario.gains)
            if response.recommendation.dose in scenario.doses
            else 0
        )
    rates = {name: count / sweeps for name, count in counts.items()}
    seconds = time.perf_counter() - start
    return {**rates, "discordance": discordance / sweeps, "resolvable": resolvable / sweeps, "seconds": seconds}


def main() -> int:
    """Runs the scenarios and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    options = parser.parse_args()
    print(
        f"{'scenario':46} {'sweeps':>6} {'disc.':>6} {'better':>7} {'95 % CI':>14} {'harmful':>8} {'miss':>6} "
        f"{'cliff':>6} {'right':>6} {'SRD':>6} {'s':>6}"
    )
    failed = False
    for scenario in SCENARIOS:
        if options.only not in scenario.name:
            continue
        sweeps = max(int(options.sweeps * scenario.sweeps), 1)
        rate = measure(scenario, sweeps, options.draws, options.seed)
        low, high = wilson(rate["better"], sweeps)
        print(
            f"{scenario.name:46} {sweeps:6} {rate['discordance']:6.3f} {rate['better']:7.3f} "
            f"[{low:.3f}, {high:.3f}] {rate['harmful']:8.3f} {rate['uncovered']:6.3f} {rate['cliff']:6.3f} "
            f"{rate['right']:6.3f} {rate['resolvable']:6.3f} {rate['seconds']:6.0f}",
            flush=True,
        )
        if not any(scenario.gains):
            failed |= low > 0.05
        elif max(scenario.gains) == 0.13 and scenario.n == 200:
            failed |= high < 0.95
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
