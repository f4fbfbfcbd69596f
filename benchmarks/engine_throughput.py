"""How near the engine, with its ledger, comes to bare aiohttp; how much memory more calls take; how fast a re-run is.

Each measurement is a process of its own against one fake server (50 ms a reply, 256 in flight), the two sides taking
turns. The active rate counts from the first request that the server receives to the last reply that it sends. Memory
and re-runs are measured of the engine alone, and of the whole command `posology generate`.

    python benchmarks/engine_throughput.py [--calls 2000] [--many 20000] [--repeats 5]

Exits with 1 where a figure is missed: 80 % of the bare rate, 50 MB for the additional calls, 3 seconds for the re-run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from fake_server import running
from whole_process import IN_FLIGHT, Generate, Measure, data_folder, environment_in, measured


def prompt(i: int) -> str:
    """The i-th prompt."""
    return f"Write customer-support conversation number {i} about billing as one JSON object with a list of messages."


async def bare(url: str, calls: int, folder: Path) -> None:
    """The reference: nothing but aiohttp and a file of rows."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    turn = asyncio.Semaphore(IN_FLIGHT)
    with (folder / "rows.jsonl").open("w") as rows:
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(text: str) -> None:
                body = {"model": "fake", "messages": [{"role": "user", "content": text}]}
                async with turn, session.post(f"{url}/chat/completions", json=body) as response:
                    answer = await response.json()
                rows.write(json.dumps({"prompt": text, "text": answer["choices"][0]["message"]["content"]}) + "\n")

            await asyncio.gather(*(one(prompt(i)) for i in range(calls)))


async def engine(url: str, calls: int, folder: Path) -> None:
    """The product: every call in the ledger before its row is written."""
    from posology.llm.contract import ChatRequest
    from posology.llm.engine import Engine, Tagged
    from posology.llm.ledger import Ledger
    from posology.llm.limits import Limits
    from posology.llm.openai_compatible import OpenAICompatible

    requests = (Tagged(i, ChatRequest("fake", (("user", prompt(i)),))) for i in range(calls))
    with Ledger(folder / "ledger.sqlite") as ledger, (folder / "rows.jsonl").open("w") as rows:
        model = OpenAICompatible("fake", base_url=url, api_key_env="POSOLOGY_BENCHMARK_KEY")
        async with Engine(model, ledger, limits=Limits(concurrency=IN_FLIGHT)) as running_engine:
            async for result in running_engine.run(requests):
                assert result.reply is not None
                rows.write(json.dumps({"prompt": prompt(result.tag), "text": result.reply.text}) + "\n")


def worker(kind: str, url: str, calls: int, folder: Path) -> None:
    """One measured process."""
    asyncio.run({"bare": bare, "engine": engine}[kind](url, calls, folder))


def measure(kind: str, url: str, calls: int, folder: Path) -> Measure:
    """Runs one of the two in a process of its own."""
    command = [sys.executable, __file__, "--worker", kind, url, str(calls), str(folder)]
    found = measured(command, url, environment_in(folder.parent))
    with (folder / "rows.jsonl").open() as rows:
        assert sum(1 for _ in rows) == calls
    return found


def compare(url: str, calls: int, repeats: int, folder: Path) -> bool:
    """Both in turn; whether the median of the ratios of active rates is as wanted."""
    ratios = []
    print(f"{'':9} {'bare rate':>10} {'engine rate':>12} {'ratio':>6} {'bare wall':>10} {'engine wall':>12}")
    for repeat in range(repeats + 1):
        pair = {}
        for kind in ("bare", "engine") if repeat % 2 else ("engine", "bare"):
            with tempfile.TemporaryDirectory(dir=folder) as name:
                pair[kind] = measure(kind, url, calls, Path(name))
        if not repeat:
            continue  # bytecode is compiled
        a, b = pair["bare"], pair["engine"]
        ratios.append(b.rate / a.rate)
        rates = f"{a.rate:8.0f}/s {b.rate:10.0f}/s {ratios[-1]:6.2f}"
        print(f"pair {repeat:4} {rates} {a.wall:9.2f}s {b.wall:11.2f}s", flush=True)
    ratio = statistics.median(ratios)
    print(f"engine with ledger / bare aiohttp, active rate, {calls} calls: {ratio:.2f} (median; wanted 0.80)")
    return ratio >= 0.8


def grow(what: str, run: Callable[[int], Measure], calls: int, many: int) -> bool:
    """A few calls, many, and the many again; whether memory and the re-run are as wanted."""
    few, more, again = run(calls), run(many), run(many)
    grown = more.peak - few.peak
    print(f"{what}: peak memory {few.peak:.0f} MB at {calls} calls, {more.peak:.0f} MB at {many}: ", end="")
    print(f"{grown:+.0f} MB (wanted < 50); {more.rate:.0f} calls/s")
    print(f"{what}: re-run of {many} calls: {again.wall:.2f} s, {again.sent} sent (wanted <= 3 s, 0)", flush=True)
    return grown < 50 and again.wall <= 3 and not again.sent


def main() -> int:
    """Measures, prints, and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--many", type=int, default=20000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with running() as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = Generate(data_folder(), url, folder, environment_in(folder))

        def of_engine(calls: int) -> Measure:
            (place := folder / f"engine-{calls}").mkdir(exist_ok=True)
            return measure("engine", url, calls, place)

        def of_command(calls: int) -> Measure:
            return command.run(folder / f"command-{calls}", calls)

        good = [
            compare(url, options.calls, options.repeats, folder),
            grow("engine", of_engine, options.calls, options.many),
            grow("posology generate", of_command, options.calls, options.many),
        ]
    return int(not all(good))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
    else:
        sys.exit(main())
