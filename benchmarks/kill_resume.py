"""What is lost, and what is paid twice, when a run is killed again and again, and when the server misbehaves.

1. A run of 2,000 calls is killed with SIGKILL at ten random moments and started again each time. Wanted: calls sent in
   all runs together <= 2,000 + in flight at each kill; every row there, none twice.
2. The same with 10 % 429, 5 % 500, 2 % dropped connections and 5 % replies of broken JSON. Wanted: no row lost.

    python benchmarks/kill_resume.py [--calls 2000] [--kills 10] [--seed 0]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine_throughput import IN_FLIGHT, engine, prompt
from fake_server import ask, running

FAULTS = {"rate_limited": 0.10, "failed": 0.05, "dropped": 0.02, "malformed": 0.05}


def start(url: str, calls: int, folder: Path) -> subprocess.Popen[bytes]:
    """Starts a run in a process of its own."""
    return subprocess.Popen([sys.executable, __file__, "--worker", url, str(calls), str(folder)])


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows that the last run wrote."""
    with (folder / "rows.jsonl").open() as lines:
        return [json.loads(line) for line in lines]


def kill_and_resume(url: str, calls: int, kills: int, rng: random.Random) -> bool:
    """Kills runs at random moments of their work, then lets one finish.

    Returns:
        Whether everything is as wanted.
    """
    ask(url, "/reset", {})
    killed = seen = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for moment in sorted(rng.uniform(0.02, 0.95) for _ in range(kills)):
            process = start(url, calls, folder)
            while ask(url, "/stats")["received"] < moment * (calls + killed * IN_FLIGHT) and process.poll() is None:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.05))
            seen += ask(url, "/stats")["in_flight"]
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
        time.sleep(0.2)  # the server answers what the dead had asked
        if start(url, calls, folder).wait() != 0:
            return False
        sent = ask(url, "/stats")["received"]
        again = start(url, calls, folder).wait() or ask(url, "/stats")["received"] - sent
        prompts = [row["prompt"] for row in rows_of(folder)]
    complete = sorted(prompts) == sorted(prompt(i) for i in range(calls))
    allowed = calls + kills * IN_FLIGHT
    print(f"{kills} kills over {calls} calls: {sent} sent, of which {sent - calls} twice (allowed {allowed})")
    print(f"  in flight at the kills: {kills * IN_FLIGHT} places, of which the server still worked on {seen}")
    print(
        f"  rows {len(prompts)}, distinct {len(set(prompts))}, complete: {complete}; a run after the end sent {again}"
    )
    return complete and sent <= allowed and again == 0


def misbehave(url: str, calls: int) -> bool:
    """One run against a server that fails in every way.

    Returns:
        Whether every row arrived.
    """
    ask(url, "/reset", FAULTS)
    with tempfile.TemporaryDirectory() as name:
        begun = time.perf_counter()
        code = start(url, calls, Path(name)).wait()
        seconds = time.perf_counter() - begun
        rows = rows_of(Path(name))
    stats = ask(url, "/stats")
    broken = sum(not row["text"].endswith("}") for row in rows)
    faults = ", ".join(f"{stats[name]} {name}" for name in FAULTS)
    print(f"faults over {calls} calls: {stats['received']} sent, {faults}; {seconds:.1f} s")
    print(f"  rows {len(rows)}, distinct {len({row['prompt'] for row in rows})}, kept with broken JSON {broken}")
    return code == 0 and sorted(row["prompt"] for row in rows) == sorted(prompt(i) for i in range(calls))


def main() -> int:
    """Runs both, prints, and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with running() as url:
        killed = kill_and_resume(url, options.calls, options.kills, random.Random(options.seed))
        failed = misbehave(url, options.calls)
    return int(not (killed and failed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        asyncio.run(engine(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
    else:
        sys.exit(main())
