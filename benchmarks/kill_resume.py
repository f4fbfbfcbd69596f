"""What is lost, and what is paid twice, when `posology generate` is killed again and again.

A generation of 2,000 rows for the sample shop is killed with SIGKILL at ten random moments and started again by the
same command; the eleventh run ends it, the twelfth must find nothing to do. With 64 and with 256 calls in flight, each
on a sound server (one call a row), and on one that answers 10 % of the calls with 429 and wants a pause of a second,
5 % with 500, drops 2 % and breaks the JSON of 5 % (two attempts a row). The server's own count is held against the
ledger.

    python benchmarks/kill_resume.py [--calls 2000] [--kills 10] [--in-flight 64,256] [--seed 0]

Exits with 1 where something is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_server import ask, running
from posology.llm.ledger import Ledger

SHOP = Path(__file__).parent.parent / "examples" / "larkfell"
FAULTS = {"rate_limited": 0.10, "failed": 0.05, "dropped": 0.02, "malformed": 0.05, "retry_after": 1.0}
UNPAID = ("rate_limited", "failed", "dropped")


def command(url: str, out: Path, *flags: object) -> list[str]:
    """The command that generates opening messages for the sample shop."""
    sources = ["--real", SHOP / "real.jsonl", "--docs", SHOP / "docs", "--catalog", SHOP / "catalog.csv"]
    model = ["--model", "openai:fake", "--base-url", url, "--mode", "message", "--encoder", "lexical"]
    given = ["-m", "posology", "generate", *sources, *model, "--out", out, "--quiet", *flags]
    return [sys.executable, *map(str, given)]


@dataclass(frozen=True, slots=True)
class Kill:
    """What was in flight at a kill.

    Attributes:
        working: Calls that the server still worked on: their replies found nobody.
        lost: Calls whose reply the server had sent, and that were not yet in the ledger.
    """

    working: int
    lost: int


@dataclass(slots=True)
class Killing:
    """A generation that is killed and goes on.

    Attributes:
        url: The server.
        folder: Where it works.
        calls: Rows of its plan.
        in_flight: Calls at once.
        attempts: Most calls a row.
        kills: What was in flight at each kill.
    """

    url: str
    folder: Path
    calls: int
    in_flight: int
    attempts: int
    kills: list[Kill] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the command, always the same one."""
        settings = self.folder / "posology.yaml"
        settings.write_text(f"generate: {{attempts: {self.attempts}}}\n")
        flags = ["--count", self.calls, "--concurrency", self.in_flight, "--config", settings]
        return subprocess.Popen(command(self.url, self.folder / "run", *flags), stdout=subprocess.DEVNULL)

    def kill_at(self, moment: int, later: float) -> None:
        """Starts, and kills a little later than the moment at which so many distinct calls are answered."""
        before = ask(self.url, "/stats")
        process = self.start()
        while process.poll() is None:
            stats = ask(self.url, "/stats")
            if stats["distinct"] >= moment and stats["received"] > before["received"]:
                break
            time.sleep(0.01)
        time.sleep(later)
        process.kill()
        process.wait()
        while (stats := ask(self.url, "/stats"))["in_flight"]:
            time.sleep(0.01)
        lost = stats["answered"] - self.in_ledger() - sum(kill.lost for kill in self.kills)
        self.kills.append(Kill(stats["unheard"] - before["unheard"], lost))

    def in_ledger(self) -> int:
        """Replies in the ledger."""
        path = self.folder / "run" / "ledger.sqlite"
        if not path.exists():
            return 0
        with Ledger(path) as ledger:
            return sum(row.answered for row in ledger.stats())

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a file of the generation."""
        with (self.folder / "run" / "generate" / name).open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]


def judged(wanted: bool, text: str) -> bool:
    """Prints a line, and whether it is as wanted."""
    print(f"  {'ok    ' if wanted else 'MISSED'} {text}", flush=True)
    return wanted


def calls_are_sound(run: Killing, stats: dict[str, Any]) -> bool:
    """Judges what was sent and paid."""
    kills, replies = run.kills, run.in_ledger()
    in_flight = [kill.working + kill.lost for kill in kills]
    paid = stats["received"] - sum(stats[name] for name in UNPAID)
    unpaid = ", ".join(f"{stats[name]:,} {name}" for name in UNPAID if stats[name])
    print(
        f"  {stats['received']:,} calls sent in all runs together{unpaid and f', of which {unpaid}'}; "
        f"in flight at the kills: {', '.join(map(str, in_flight))}, of which {sum(kill.lost for kill in kills)} were "
        "answered and not yet in the ledger"
    )
    allowed = replies + sum(in_flight)
    return all(
        [
            judged(max(in_flight) <= run.in_flight, f"at most {max(in_flight)} in flight (<= {run.in_flight})"),
            judged(paid <= allowed, f"{paid:,} paid <= {replies:,} in the ledger + {sum(in_flight):,} in flight"),
            judged(
                stats["repeated"] <= sum(kill.lost for kill in kills) and stats["distinct"] == replies,
                f"{stats['repeated']} replies given twice, none of them from the ledger",
            ),
            judged(not stats["early"], f"{stats['early']} came back before Retry-After (0)"),
        ]
    )


def rows_are_sound(run: Killing, broken: int) -> bool:
    """Judges what was written."""
    planned = {row["id"] for row in run.rows("plan.jsonl")}
    candidates, rejected, tried = (run.rows(f"{name}.jsonl") for name in ("candidates", "rejected", "attempts"))
    ended = Counter(row["id"] for row in (*candidates, *rejected))
    texts = {row["messages"][0]["content"] for row in candidates}
    reasons = Counter(row["reason"] for row in rejected)
    left = list((run.folder / "run").rglob("*.part"))
    return all(
        [
            judged(ended.keys() == planned and len(planned) == run.calls, f"{len(ended):,} of {run.calls:,} rows"),
            judged(ended.total() == len(ended) and len(texts) == len(candidates), "none twice"),
            judged(
                all(row["reason"] and row["raw"] for row in (*rejected, *tried)),
                f"{len(rejected)} rejected {dict(reasons)}, {len(tried)} tried again, all with reason and reply",
            ),
            judged(not broken or bool(rejected), f"{broken} replies with broken JSON"),
            judged(not left, f"{len(left)} half-written files left behind"),
        ]
    )


def killed(run: Killing, kills: int, faults: dict[str, float], rng: random.Random) -> bool:
    """Kills a generation, lets it end, and judges."""
    name = "a server in trouble" if faults else "a sound server"
    print(f"{run.calls:,} rows, {run.in_flight} in flight, {name}, {kills} kills")
    ask(run.url, "/reset", faults)
    for number in range(kills):
        run.kill_at(int((number + rng.random()) / kills * run.calls), rng.uniform(0, 0.05))
    ended = run.start().wait()
    stats = ask(run.url, "/stats")
    again = run.start().wait() or ask(run.url, "/stats")["received"] - stats["received"]
    finished = judged(ended == 0 and again == 0, f"the next run ends with {ended}; one more sends {again}")
    return finished and all([calls_are_sound(run, stats), rows_are_sound(run, stats["malformed"])])


def main() -> int:
    """Runs all, and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--in-flight", default="64,256")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    sound = []
    with running() as url:
        for in_flight in map(int, options.in_flight.split(",")):
            for faults, attempts in (({}, 1), (FAULTS, 2)):
                with tempfile.TemporaryDirectory() as folder:
                    run = Killing(url, Path(folder), options.calls, in_flight, attempts)
                    sound.append(killed(run, options.kills, faults, rng))
    return int(not all(sound))


if __name__ == "__main__":
    sys.exit(main())
