"""What other benchmarks measure with: a command as a whole process, against the fake server, and a `posology generate`.

All commands run with one folder for bytecode, made for them, so that none pays for compiling what the other finds
compiled; run each once before it is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fake_server import ask

SHOP = Path(__file__).parent.parent / "examples" / "larkfell"
IN_FLIGHT = 256


@dataclass(frozen=True, slots=True)
class Measure:
    """What a process took.

    Attributes:
        wall: Seconds from start to end.
        cpu: Seconds that it computed, in all of its threads.
        peak: Most memory, MB.
        sent: Requests that the server received.
        rate: Requests a second from the first received to the last answered; 0 if there were none.
    """

    wall: float
    cpu: float
    peak: float
    sent: int
    rate: float


def measured(command: list[str], url: str, environment: dict[str, str]) -> Measure:
    """Runs a command and looks at what it took, on the server's side too.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    ask(url, "/reset", {})
    log = Path(environment["BENCHMARK_FOLDER"]) / "log.txt"
    with log.open("wb") as handle:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=handle, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ... ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    stats = ask(url, "/stats")
    unit = 1 if sys.platform == "darwin" else 1024
    rate = stats["received"] / stats["active"] if stats["received"] else 0.0
    return Measure(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 2**20, stats["received"], rate)


def environment_in(folder: Path) -> dict[str, str]:
    """The environment of measured commands: bytecode and logs in a folder, no proxy, one thread for matrices."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "BENCHMARK_FOLDER": str(folder),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "OMP_NUM_THREADS": "1",
    }


@dataclass(frozen=True, slots=True)
class Generate:
    """`posology generate` on one set of data.

    Attributes:
        data: Folder with real.jsonl, docs and catalog.csv.
        url: The server.
        folder: Where things are written.
        environment: Of the commands.
    """

    data: Path
    url: str
    folder: Path
    environment: dict[str, str]

    @property
    def gaps(self) -> Path:
        """A run folder in which the gaps are found, and with them the holdout set apart; not measured."""
        found = self.folder / "gaps"
        if not found.exists():
            command = [*_POSOLOGY, "gaps", "--real", self.data / "real.jsonl", "--docs", self.data / "docs", "--quiet"]
            command += ["--out", found]
            subprocess.run(list(map(str, command)), env=self.environment, capture_output=True, check=True)
        return found

    def command(self, out: Path, count: int, mode: str) -> list[str]:
        """The command line."""
        sources = ["--real", self.data / "real.jsonl", "--docs", self.data / "docs"]
        sources += ["--catalog", self.data / "catalog.csv", "--gaps", self.gaps / "gaps" / "gaps.json"]
        model = ["--model", "openai:fake", "--base-url", self.url, "--concurrency", IN_FLIGHT]
        given = ["--count", count, "--mode", mode, "--out", out, "--quiet"]
        return [*_POSOLOGY, *map(str, ["generate", *sources, *model, *given])]

    def run(self, out: Path, count: int, mode: str = "dialogue") -> Measure:
        """Runs it.

        Raises:
            RuntimeError: It failed, or rows are missing.
        """
        found = measured(self.command(out, count, mode), self.url, self.environment)
        ended = sum(_lines(out / "generate" / name) for name in ("candidates.jsonl", "rejected.jsonl"))
        if ended != count:
            raise RuntimeError(f"{ended} of {count} rows ended")
        return found


_POSOLOGY = [sys.executable, "-m", "posology"]


def _lines(path: Path) -> int:
    with path.open("rb") as handle:
        return sum(1 for _ in handle)


def data_folder() -> Path:
    """BANKING77 where `POSOLOGY_DATA` has it, else the sample shop."""
    given = os.environ.get("POSOLOGY_DATA")
    return Path(given) / "banking77" if given else SHOP
