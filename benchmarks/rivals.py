"""`posology generate` beside a rival and beside bare aiohttp: whole processes, taking turns against one fake server.

2,000 calls, 50 ms a reply, 256 in flight. Ours is the whole command with its ledger: it plans, fills in prompts of some
3,000 characters, checks the replies, and writes rows; in a run folder where `posology gaps` ran before, as it is used,
and in a new one, where it sets the holdout apart first. The rival and bare aiohttp send one short sentence a call and
write the reply down. Each row is the median of the rounds; ratios are taken within a round.

    python benchmarks/rivals.py [--calls 2000] [--rounds 5] [--curator-python VENV/bin/python]

Curator (pip install bespokelabs-curator) needs an environment of its own; without it, the rest is measured. Exits with
1 where our whole command takes more than a quarter of the rival's time.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fake_server import running
from whole_process import IN_FLIGHT, Generate, Measure, data_folder, environment_in, measured

HERE = Path(__file__).parent
WARM = 20
BARE, OURS, CURATOR = "bare aiohttp", "posology, dialogues", "Bespoke Curator"
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "LITELLM_LOCAL_MODEL_COST_MAP", "DO_NOT_TRACK")

Contender = Callable[[int], Measure]
"""Makes so many calls in a process of its own."""


def contenders(url: str, folder: Path, curator: str | None) -> dict[str, Contender]:
    """Who takes part, by name."""
    environment = environment_in(folder)
    ours = Generate(data_folder(), url, folder, environment)

    def fresh() -> Path:
        out = folder / "run"
        shutil.rmtree(out, ignore_errors=True)
        return out

    def bare(calls: int) -> Measure:
        fresh().mkdir()
        worker = [sys.executable, str(HERE / "engine_throughput.py"), "--worker", "bare", url, str(calls)]
        return measured([*worker, str(folder / "run")], url, environment)

    def generate(mode: str, *, new: bool = False) -> Contender:
        def run(calls: int) -> Measure:
            out = fresh()
            if not new:
                shutil.copytree(ours.gaps, out)
            return ours.run(out, calls, mode)

        return run

    def rival(calls: int) -> Measure:
        assert curator is not None
        fresh().mkdir()
        offline = dict.fromkeys(OFFLINE, "1") | {"TELEMETRY_ENABLED": "0", "TERM": "dumb", "NO_COLOR": "1"}
        places = {"HOME": str(folder / "run"), "CURATOR_CACHE_DIR": str(folder / "run" / "cache")}
        script = [curator, str(HERE / "rival_curator.py"), url, str(calls), str(IN_FLIGHT), str(folder / "run")]
        return measured(script, url, environment | offline | places)

    found: dict[str, Contender] = {
        BARE: bare,
        OURS: generate("dialogue"),
        "posology, messages": generate("message"),
        "posology, new folder": generate("dialogue", new=True),
    }
    return found | ({CURATOR: rival} if curator else {})


def rounds(found: dict[str, Contender], calls: int, n: int) -> Iterator[dict[str, Measure]]:
    """One measure of everybody, n times; the order turns round each time."""
    for contender in found.values():
        contender(WARM)
    for number in range(n):
        names = list(found) if number % 2 else list(reversed(found))
        yield {name: found[name](calls) for name in names}


def middle(values: Iterator[float]) -> float:
    """The median."""
    return statistics.median(values)


def show(done: list[dict[str, Measure]]) -> None:
    """Prints a table of medians."""
    print(f"{'':22} {'wall':>8} {'cpu':>8} {'active rate':>12} {'peak':>8} {'of bare rate':>13} {'of rival wall':>14}")
    for name in done[0]:
        wall, cpu, rate, peak = (middle(getattr(r[name], f) for r in done) for f in ("wall", "cpu", "rate", "peak"))
        share = middle(r[name].rate / r[BARE].rate for r in done)
        ratio = f"{middle(r[name].wall / r[CURATOR].wall for r in done):14.2f}" if CURATOR in done[0] else f"{'-':>14}"
        print(f"{name:22} {wall:7.2f}s {cpu:7.2f}s {rate:10.0f}/s {peak:5.0f} MB {share:13.2f} {ratio}")


def main() -> int:
    """Measures, prints, and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--curator-python", help="interpreter of an environment with bespokelabs-curator")
    options = parser.parse_args()
    if options.curator_python is None:
        print("Bespoke Curator is passed over: --curator-python does not name an interpreter that has it")
    with running() as url, tempfile.TemporaryDirectory() as name:
        found = contenders(url, Path(name), options.curator_python)
        done = list(rounds(found, options.calls, options.rounds))
    show(done)
    if CURATOR not in found:
        return 0
    ratio = middle(r[OURS].wall / r[CURATOR].wall for r in done)
    print(f"whole command / Curator, wall time: {ratio:.2f} (wanted <= 0.25)")
    return int(ratio > 0.25)


if __name__ == "__main__":
    sys.exit(main())
