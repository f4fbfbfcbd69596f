"""How near the engine, with its ledger, comes to bare aiohttp; how much memory more calls take; how fast a re-run is.

Each measurement is a process of its own against one fake server (50 ms a reply, 256 in flight), the two sides taking
turns. `active` is the time from the first request that the server receives to the last reply that it sends.

    python benchmarks/engine_throughput.py [--calls 2000] [--many 20000] [--repeats 5]

Exits with 1 where a figure is missed: 80 % of the bare rate, 50 MB for the additional calls, 3 seconds for the re-run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fake_server import ask, running

IN_FLIGHT = 256


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
    """One measured process; prints what it used."""
    asyncio.run({"bare": bare, "engine": engine}[kind](url, calls, folder))
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}))


def measure(kind: str, url: str, calls: int, folder: Path) -> dict[str, float]:
    """Runs one process against the server."""
    ask(url, "/reset", {})
    start = time.perf_counter()
    command = [sys.executable, __file__, "--worker", kind, url, str(calls), str(folder)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wall = time.perf_counter() - start
    stats = ask(url, "/stats")
    with (folder / "rows.jsonl").open() as rows:
        assert sum(1 for _ in rows) == calls
    rate = calls / stats["active"] if stats["received"] else 0.0
    return {"wall": wall, "rate": rate, "sent": stats["received"], "peak": json.loads(answer)["peak"] / 2**20}


def compare(url: str, calls: int, repeats: int) -> float:
    """The engine's active rate over bare aiohttp's: the median of pairs that ran one after the other."""
    ratios = []
    print(f"{'':9} {'bare rate':>10} {'engine rate':>12} {'ratio':>6} {'bare wall':>10} {'engine wall':>12}")
    for repeat in range(repeats):
        pair = {}
        for kind in ("bare", "engine") if repeat % 2 else ("engine", "bare"):
            with tempfile.TemporaryDirectory() as folder:
                pair[kind] = measure(kind, url, calls, Path(folder))
        a, b = pair["bare"], pair["engine"]
        ratios.append(b["rate"] / a["rate"])
        rates = f"{a['rate']:8.0f}/s {b['rate']:10.0f}/s {ratios[-1]:6.2f}"
        print(f"pair {repeat + 1:4} {rates} {a['wall']:9.2f}s {b['wall']:11.2f}s", flush=True)
    return statistics.median(ratios)


def main() -> int:
    """Measures, prints, and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--many", type=int, default=20000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with running() as url, tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as many:
        ratio = compare(url, options.calls, options.repeats)
        print(
            f"engine with ledger / bare aiohttp, active rate, {options.calls} calls: {ratio:.2f} (median; wanted 0.80)"
        )
        small, large = (measure("engine", url, n, Path(f)) for n, f in ((options.calls, few), (options.many, many)))
        grown = large["peak"] - small["peak"]
        print(
            f"peak memory: {small['peak']:.0f} MB at {options.calls} calls, {large['peak']:.0f} MB at {options.many}: ",
            end="",
        )
        print(f"{grown:+.0f} MB (wanted < 50); {large['rate']:.0f} calls/s")
        again = measure("engine", url, options.many, Path(many))
        print(f"re-run of {options.many} calls: {again['wall']:.2f} s, {again['sent']:.0f} sent (wanted <= 3 s, 0)")
    return int(ratio < 0.8 or grown >= 50 or again["wall"] > 3 or again["sent"] > 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
    else:
        sys.exit(main())
