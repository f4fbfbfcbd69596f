"""2,000 verdicts by a judge that answers 5 % of its calls with broken JSON.

1. Without a second attempt: every broken reply is an unscored candidate, counted and none lost.
2. With the default second attempt: nearly all are scored; what was paid for before is not paid for again.
3. With a budget for a part of it: it stops within the budget, and the next run sends only what is missing.

    python benchmarks/judges.py [--candidates 2000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fake_server import ask, running
from posology.config import Config
from posology.errors import BudgetReached
from posology.judging import Judged, Judging
from posology.llm.ledger import Ledger
from posology.records import Conversation, DocSection, Message

MALFORMED = 0.05
PRICE = {"input": 1.0, "output": 4.0}
DOCS = (DocSection("refunds.md", "Refunds", "refund", "A refund takes five working days from the day of return."),)


def candidates(n: int) -> list[Conversation]:
    """Conversations that differ by a number."""
    return [
        Conversation(
            f"c-{number}",
            (
                Message("user", f"I sent parcel {number} back two weeks ago, where is my money?"),
                Message("assistant", f"The refund for parcel {number} takes five working days; it is on its way."),
            ),
            "refund",
            "synthetic",
            {"generator": "local:"},
        )
        for number in range(n)
    ]


def judging(url: str, ledger: Path, **verify: Any) -> Judging:
    """A judge at the fake server."""
    settings = {"judges": ["openai:fake"], "base_url": url, "families": {"openai:fake": "stranger"}, "concurrency": 64}
    tree = {"verify": {**settings, "order_sample": 0, **verify}, "prices": {"fake": PRICE}}
    return Judging(Config.model_validate(tree), ledger, docs=DOCS)


def spent(ledger: Path) -> float:
    """Money in the ledger."""
    with Ledger(ledger) as opened:
        return sum(row.cost for row in opened.stats())


def counted(judged: Judged, n: int) -> tuple[int, bool]:
    """Unscored candidates, and whether everybody is accounted for, in order."""
    unscored = [not judgement.scores for judgement in judged.judgements]
    agree = [all(f.state == "unscored" for f in opinion.findings) for opinion in judged.opinions]
    ids = [judgement.id for judgement in judged.judgements]
    return sum(unscored), unscored == agree and ids == [f"c-{number}" for number in range(n)]


def attempt(url: str, n: int, attempts: int) -> bool:
    """All candidates, with so many attempts each.

    Returns:
        Whether everything is as wanted.
    """
    ask(url, "/reset", {"latency": 0.02, "malformed": MALFORMED})
    with tempfile.TemporaryDirectory() as folder:
        ledger, begun = Path(folder, "ledger.sqlite"), time.perf_counter()
        judged = judging(url, ledger, attempts=attempts, budget=100.0).judge(candidates(n))
        seconds, stats, cost = time.perf_counter() - begun, ask(url, "/stats"), spent(ledger)
    assert judged.facts is not None
    unscored, whole = counted(judged, n)
    about = judged.facts["judges"][0]
    lost = n - len(judged.judgements)
    print(f"{attempts} attempt(s): {n} candidates, {stats['received']} calls, {stats['malformed']} replies broken")
    print(f"  unscored {unscored} {about['states']}, lost {lost}; spent {cost:.4f}; {seconds:.1f} s")
    return whole and not lost and unscored <= stats["malformed"] and (attempts > 1 or unscored == stats["malformed"])


def within_budget(url: str, n: int) -> bool:
    """A budget for about a third, then enough."""
    ask(url, "/reset", {"latency": 0.02, "malformed": MALFORMED})
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder, "ledger.sqlite")
        limit = n / 3 * (40 * PRICE["input"] + 120 * PRICE["output"]) / 1e6
        stopped = False
        try:
            judging(url, ledger, attempts=1, budget=limit).judge(candidates(n))
        except BudgetReached:
            stopped = True
        first, paid = ask(url, "/stats")["received"], spent(ledger)
        judged = judging(url, ledger, attempts=1, budget=100.0).judge(candidates(n))
        stats = ask(url, "/stats")
    print(f"budget {limit:.4f}: stopped {stopped} after {first} calls and {paid:.4f} of money;")
    print(f"  then {stats['received'] - first} more calls, {stats['repeated']} of all sent twice")
    return stopped and paid <= limit and stats["repeated"] == 0 and counted(judged, n)[1]


def main() -> int:
    """Runs all three, prints, and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=2000)
    n = parser.parse_args().candidates
    with suppress(KeyboardInterrupt), running() as url:
        done = [attempt(url, n, 1), attempt(url, n, 2), within_budget(url, n)]
        print("as wanted" if all(done) else f"NOT as wanted: {done}")
        return int(not all(done))
    return 1


if __name__ == "__main__":
    sys.exit(main())
