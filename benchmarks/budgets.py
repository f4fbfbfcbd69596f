"""Whether `posology generate --budget` keeps its word, over 100 random budgets.

Each is a generation of its own: rows, prices, calls in flight, seed and budget are drawn, every other one on a server
that fails in every way. Wanted of each:

- neither the ledger nor the server's own count ever holds more money than the budget and the calls in flight;
- exit code 4 where rows are left, and less than the price of one more call is too;
- the same command with more money ends the rest, sends nothing again that is in the ledger, and no row is lost.

    python benchmarks/budgets.py [--budgets 100] [--seed 0]

Exits with 1 where something is missed. Two run at a time.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from fake_server import PROMPT_TOKENS, REPLY_TOKENS, ask, running
from kill_resume import FAULTS, UNPAID, command
from posology.llm.ledger import Ledger

MILLION = 1_000_000
CENT = 1e-9
"""Sums of floats drift by less."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A generation and its budget.

    Attributes:
        rows: Of the plan.
        in_flight: Calls at once.
        prices: For a million tokens, and for a call.
        budget: Money for the first run.
        faults: How the server fails.
        seed: Of the plan.
    """

    rows: int
    in_flight: int
    prices: dict[str, float]
    budget: float
    faults: dict[str, float]
    seed: int

    @property
    def price(self) -> float:
        """What the server takes for a reply."""
        tokens = PROMPT_TOKENS * self.prices["input"] + REPLY_TOKENS * self.prices["output"]
        return tokens / MILLION + self.prices["call"]


def drawn(number: int, rng: random.Random) -> Drawn:
    """The number-th generation."""
    prices = {"input": rng.choice((0, 3, 300)), "output": rng.choice((0, 15, 1500)), "call": rng.choice((0, 0.01, 0.5))}
    if not any(prices.values()):
        prices["call"] = 1.0
    rows = rng.randint(40, 160)
    shape = Drawn(rows, rng.choice((1, 4, 16, 64)), prices, 0.0, FAULTS if number % 2 else {}, number)
    budget = rng.uniform(0.0, 1.1) * rows * shape.price
    return Drawn(rows, shape.in_flight, prices, budget, shape.faults, number)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a generation went.

    Attributes:
        code: Exit code of the first run.
        over: Money above the budget after it, by the server's count; negative if some was left.
        ledger: Money in the ledger after it.
        served: Money that the server took.
        problems: What is not as wanted.
    """

    code: int
    over: float
    ledger: float
    served: float
    problems: tuple[str, ...]


def generate(url: str, out: Path, case: Drawn, budget: float) -> tuple[int, str]:
    """Runs the command; exit code and what it said."""
    settings = out.with_suffix(".yaml")
    settings.write_text(json.dumps({"prices": {"fake": case.prices}, "generate": {"attempts": 2}}))
    flags = ["--count", case.rows, "--concurrency", case.in_flight, "--seed", case.seed, "--config", settings]
    line = command(url, out, *flags, "--budget", repr(budget))
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def paid(out: Path) -> tuple[float, int]:
    """Money and replies in the ledger."""
    with Ledger(out / "ledger.sqlite") as ledger:
        calls = ledger.stats()
    return sum(row.cost for row in calls), sum(row.answered for row in calls)


def ended(out: Path, *names: str) -> list[str]:
    """The ids in files of the generation."""
    rows = []
    for path in (out / "generate" / f"{name}.jsonl" for name in names):
        if path.exists():
            rows += [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(rows)


def tried(url: str, template: Path, case: Drawn) -> Outcome:
    """Runs with the budget, then with money enough."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        shutil.copytree(template, out)
        ask(url, "/reset", {"latency": 0.01, **case.faults, "retry_after": 0.05})
        code, said = generate(url, out, case, case.budget)
        stats, (ledger, _) = ask(url, "/stats"), paid(out)
        served = (stats["answered"] + stats["unheard"]) * case.price
        rows = ended(out, "candidates", "rejected")
        problems = list(_first_run(case, code, said, stats, max(ledger, served), rows, ledger))
        code_again, said = generate(url, out, case, 100 * case.rows * max(case.price, 1.0))
        problems += _second_run(case, code_again, said, ask(url, "/stats"), paid(out)[1], out)
    return Outcome(code, served - case.budget, ledger, served, tuple(problems))


def _first_run(case: Drawn, code: int, said: str, stats: dict[str, Any], money: float, rows: list[str], ledger: float):
    if money > case.budget + stats["most_in_flight"] * case.price + CENT:
        yield f"{money:.4f} spent of {case.budget:.4f}"
    if code != (0 if len(rows) == case.rows else 4):
        yield f"exit code {code} with {len(rows)} of {case.rows} rows: {said}"
    if code == 4:
        following = re.search(r"and the next one (\d+\.\d+)", said)
        if following is None or ledger + float(following[1]) + 1e-4 <= case.budget:
            yield f"stopped early: {ledger:.4f} spent of {case.budget:.4f}: {said}"


def _second_run(case: Drawn, code: int, said: str, stats: dict[str, Any], replies: int, out: Path):
    if code != 0:
        yield f"exit code {code} with money enough: {said}"
        return
    if stats["repeated"] or stats["received"] - sum(stats[name] for name in UNPAID) != replies:
        yield f"{stats['repeated']} replies given twice, {stats['answered']} given, {replies} in the ledger"
    if ended(out, "candidates", "rejected") != ended(out, "plan") or len(ended(out, "plan")) != case.rows:
        yield "rows are lost or doubled"


def main() -> int:
    """Runs all, and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    cases = [drawn(number, rng) for number in range(options.budgets)]
    with running() as one, running() as other, tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "run"
        subprocess.run([*command(one, template, "--plan-only")], check=True, stdout=subprocess.DEVNULL)
        urls: SimpleQueue[str] = SimpleQueue()
        for url in (one, other):
            urls.put(url)

        def work(case: Drawn) -> Outcome:
            url = urls.get()
            try:
                return tried(url, template, case)
            finally:
                urls.put(url)

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(work, cases))
    for case, outcome in zip(cases, outcomes, strict=True):
        for problem in outcome.problems:
            print(f"MISSED {case}: {problem}")
    over = [outcome.over / case.price for case, outcome in zip(cases, outcomes, strict=True)]
    stopped = sum(outcome.code == 4 for outcome in outcomes)
    apart = max(abs(outcome.ledger - outcome.served) for outcome in outcomes)
    print(f"{len(cases)} budgets: {stopped} ended with exit code 4, {len(cases) - stopped} sufficed")
    print(f"most spent above a budget: {max(over):+.2f} calls' worth (wanted: the calls in flight, up to 64)")
    print(f"ledger and server differ by {apart:.6f} in money at most (wanted 0)")
    print(f"{sum(bool(outcome.problems) for outcome in outcomes)} of {len(cases)} not as wanted (0)")
    return int(any(outcome.problems for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
