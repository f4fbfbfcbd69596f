"""How long the command line takes to answer `--help`, beside a bare Python, and what `import posology` costs.

python benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15


def median_seconds(command: list[str]) -> float:
    """Median wall time of warm runs."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Prints medians and ratios."""
    bare = median_seconds([sys.executable, "-c", "pass"])
    rows = {
        "python -c pass": bare,
        "python -c 'import posology'": median_seconds([sys.executable, "-c", "import posology"]),
        "posology --help": median_seconds([str(Path(sys.executable).with_name("posology")), "--help"]),
        "posology sweep --help": median_seconds([str(Path(sys.executable).with_name("posology")), "sweep", "--help"]),
    }
    for name, seconds in rows.items():
        print(f"{name:28} {seconds:6.3f} s  {seconds / bare:5.1f} x bare")


if __name__ == "__main__":
    main()
