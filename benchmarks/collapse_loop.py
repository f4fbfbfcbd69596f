"""Does learning from one's own text collapse, and does keeping real data prevent it? Five generations on BANKING77.

    POSOLOGY_DATA=... python benchmarks/collapse_loop.py [on|off]

All policies, with and without verification, on the surrogate generator; judged on the official test messages. Name
the ways, `on` or `off`, to run one of them alone.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from posology.collapse.recursion import POLICIES
from posology.config import load
from posology.recursing import recurse

COLUMNS = ("accuracy", "tail_recall", "topics")
CURVES = ("vendi", "coverage", "distinct_2")


def main() -> None:
    """Runs the loops and prints a line a generation."""
    data = Path(os.environ["POSOLOGY_DATA"]) / "banking77"
    with tempfile.TemporaryDirectory() as folder:
        given = {"data.real": data / "real.jsonl", "data.holdout": data / "test.jsonl", "out": Path(folder)}
        start = time.perf_counter()
        ways = {"on": (True,), "off": (False,)}.get(sys.argv[1] if len(sys.argv) > 1 else "both", (False, True))
        result = recurse(load(None, given), policies=POLICIES, verify=ways)
        seconds = time.perf_counter() - start
    print("policy verify generation accuracy tail topics vendi coverage distinct_2 moved")
    for run in result["runs"]:
        for row in run["generations"]:
            figures = [row[name] for name in COLUMNS]
            figures += [(row["diversity"] or {}).get(name, {}).get("value") for name in CURVES]
            said = " ".join("-" if value is None else f"{value:.3f}" for value in figures)
            print(run["policy"], "on" if run["verify"] else "off", row["generation"], said, len(row["moved"]))
            if "rejected" in row:
                print("   ", row["n_candidates"], "written,", row["n_written"], "taken;", row["rejected"])
        print(run["verdict"], run["status"])
    print(f"{seconds:.0f} s for {len(result['runs'])} loops of {len(result['runs'][0]['generations']) - 1} generations")


if __name__ == "__main__":
    main()
