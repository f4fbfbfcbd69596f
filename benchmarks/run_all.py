"""Runs every benchmark in turn, each in a process of its own.

POSOLOGY_DATA=... python benchmarks/run_all.py
"""

import os
import subprocess
import sys
from pathlib import Path

NO_BENCHMARKS = ("run_all.py", "fake_server.py", "whole_process.py", "rival_curator.py")
NEED_DATA = (
    "dose_response.py",
    "ceiling.py",
    "null_pools.py",
    "planted_defects.py",
    "monitor_power.py",
    "collapse_faults.py",
    "collapse_loop.py",
)


def main() -> int:
    """Runs them; those that need the data folder are passed over, in words, without it."""
    failed = 0
    for script in sorted(Path(__file__).parent.glob("*.py")):
        if script.name in NO_BENCHMARKS:
            continue
        print(f"== {script.name}", flush=True)
        if script.name in NEED_DATA and not os.environ.get("POSOLOGY_DATA"):
            print("passed over: POSOLOGY_DATA does not name the folder of data sets\n")
            continue
        failed += subprocess.run([sys.executable, str(script)], check=False).returncode != 0
        print(flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
