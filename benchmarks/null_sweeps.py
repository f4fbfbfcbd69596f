"""How often a sweep is called "better" when nothing is better, and how often a real gain is found.

Simulates sweeps whose arms are equally good (or better by a known amount), judges each with the product's own
`evaluate`, and prints a table. Every conversation has a difficulty that all arms share, a part that only the variants
of one arm share, and a part of its own in each variant; a seed may shift a variant as a whole. The shares set the
discordance between dose 0 and another arm, about 0.14 unless the name says otherwise.

    python benchmarks/null_sweeps.py --only 'n=200, 1 seed'          # 1,000 sweeps a scenario, each under a minute
    OMP_NUM_THREADS=1 python benchmarks/null_sweeps.py --sweeps 200  # all scenarios, some minutes

Columns: disc. is the measured discordance; better, with its 95 % interval, and harmful are shares of verdicts; miss is
how often any of the simultaneous intervals leaves out its true difference (0.05 or less is right); cliff, how often one
is reported; best, how often a dose with the largest true gain is recommended; SRD, the mean smallest resolvable
difference; s, seconds.

Exits with 1 if a null scenario is called "better" in more than 5 % of the sweeps, or if a gain of 13 points at n=200 is
found in fewer than 95 %, both beyond the simulation's own error.
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
    Scenario("n=200, 1 seed, high discordance", shared=0.70, by_arm=0.30),
    Scenario("n=200, 1 seed, strongly correlated", shared=0.995, by_arm=0.005),
    Scenario("n=200, 1 seed, nearly identical", shared=0.9995, by_arm=0.0005),
    Scenario("n=200, 5 seeds, strongly correlated", shared=0.995, by_arm=0.002, seeds=5),
    Scenario("n=200, 1 seed, nearly independent", shared=0.05, by_arm=0.95),
    Scenario("n=200, 5 seeds, nearly independent", shared=0.05, by_arm=0.45, seeds=5),
    Scenario("n=200, 5 seeds, seeds differ by 2 points", seed_shift=0.02, **FIVE),
    Scenario("n=200, 2 seeds", seeds=2, by_arm=0.08),
    Scenario("n=200, 2 seeds, seeds differ by 2 points", seeds=2, by_arm=0.08, seed_shift=0.02),
    Scenario("n=200, 2 seeds, seeds differ by 4 points", seeds=2, by_arm=0.08, seed_shift=0.04),
    Scenario("n=200, 3 seeds, seeds differ by 2 points", seeds=3, by_arm=0.08, seed_shift=0.02),
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
    Scenario("n=200, 1 seed, high discordance, one dose +13", shared=0.70, by_arm=0.30, gains=(0.0, 0.13, 0.0, 0.0)),
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
    """Means over the simulated sweeps."""
    start = time.perf_counter()
    rows = []
    for i in range(sweeps):
        simulation = Simulation(scenario, np.random.default_rng([seed, i]))
        response = judge(simulation, draws, i)
        arms, verdict = response.arms, response.recommendation
        gains = dict(zip(scenario.doses[1:], scenario.gains, strict=True))
        truths = [gains.get(a.arm.dose, 0.0) if a.arm.kind == "selected" else 0.0 for a in arms]
        deltas = [a.delta_vs_real_only for a in arms]
        right = np.array([a.arm.predicted[0] == simulation.truth for a in arms])
        rows.append(
            {
                "better": verdict.status == "better",
                "harmful": verdict.status == "harmful",
                "miss": any(not d.low <= t <= d.high for d, t in zip(deltas, truths, strict=True)),
                "cliff": response.cliff.dose is not None,
                "best": verdict.dose > 0 and gains.get(verdict.dose, 0.0) == max(scenario.gains),
                "disc.": (right[1:] != right[0]).mean(),
                "SRD": response.smallest_resolvable_difference,
            }
        )
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {**means, "s": time.perf_counter() - start}


def main() -> int:
    """Runs the scenarios and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=1000, help="sweeps a scenario (large ones get a share of it)")
    parser.add_argument("--draws", type=int, default=2000, help="bootstrap draws a sweep")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    options = parser.parse_args()
    after = ("harmful", "miss", "cliff", "best", "SRD")
    titles = "".join(f"{name:>8}" for name in after)
    print(f"{'scenario':48}{'sweeps':>7}{'disc.':>7}{'better':>8}  {'95 % interval':14}{titles}{'s':>6}")
    failed = False
    for scenario in SCENARIOS:
        if options.only not in scenario.name:
            continue
        sweeps = max(int(options.sweeps * scenario.sweeps), 1)
        mean = measure(scenario, sweeps, options.draws, options.seed)
        low, high = wilson(mean["better"], sweeps)
        figures = "".join(f"{mean[name]:8.3f}" for name in after)
        print(
            f"{scenario.name:48}{sweeps:7}{mean['disc.']:7.3f}{mean['better']:8.3f}  [{low:.3f}, {high:.3f}]{figures}"
            f"{mean['s']:6.0f}",
            flush=True,
        )
        if not any(scenario.gains):
            failed |= low > 0.05
        elif max(scenario.gains) == 0.13 and scenario.n == 200:
            failed |= high < 0.95
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
