"""Every check of every batch, kept beside the baseline.

One JSON file a batch holds the whole result; `history.parquet` holds a row a check, and is written from those files
each time. So a batch that is checked twice has one entry, one that comes late finds its place by its day, and a history
that was half-written or damaged is whole again at the next check.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from posology.errors import StoreError
from posology.monitor.results import verdict_of
from posology.store import read_json, write_json, writing

RESULTS, TABLE = "checks", "history.parquet"
GAP = timedelta(days=10)  # between two batches, beyond which a weekly one is missing

SHOWN = {"drifted", "checks", "batch", "judged", "holdout", "clusters", "warnings"}  # what the page is drawn from
COLUMNS = ("batch", "day", "order", "n", "variant", "baseline", "name", "value", "threshold", "p_value", "verdict")


def batch_id(content: str, day: date | None, variant: str) -> str:
    """The identity of a batch: what it holds, the day that it was said to stand for, and who answered.

    Args:
        content: Hash of the files.
        day: As given; None if it was not.
        variant: Key of the deployed variant.
    """
    return hashlib.sha256(f"{content} {day or ''} {variant}".encode()).hexdigest()[:16]


class History:
    """The results of one monitor.

    Args:
        folder: `RUN/monitor`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[str] = []

    def results(self) -> list[dict[str, Any]]:
        """Every kept result, by the day it stands for, then as they came.

        Damaged files are set aside under `.damaged`, and named in `damaged`.
        """
        found = []
        for file in sorted((self.folder / RESULTS).glob("*.json")):
            try:
                result = read_json(file)
                whole = {"id", "day", "order"} <= result["batch"].keys() and result.keys() >= SHOWN
            except (StoreError, KeyError, TypeError, AttributeError):
                whole = False
            if not whole:
                file.replace(file.with_suffix(".damaged"))
                self.damaged.append(file.name)
                continue
            found.append({"verdict": verdict_of(result["checks"])} | result)
        return sorted(found, key=lambda result: (result["batch"]["day"], result["batch"]["order"]))

    def earlier(self, batch: str) -> dict[str, Any] | None:
        """The result of a batch that was checked before."""
        return next((result for result in self.results() if result["batch"]["id"] == batch), None)

    def add(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Keeps a result, in place of an earlier one of the same batch, and writes the table anew.

        Args:
            result: As `monitor check --json` prints it; `batch` says its id and day.

        Returns:
            All results.
        """
        batch = dict(result["batch"])
        known = self.results()
        before = next((other["batch"]["order"] for other in known if other["batch"]["id"] == batch["id"]), None)
        last = max((other["batch"]["order"] for other in known), default=0)
        batch["order"] = last + 1 if before is None else before
        write_json(self.folder / RESULTS / f"{batch['id']}.json", {**result, "batch": batch})
        found = self.results()
        self._write(found)
        return found

    def _write(self, results: list[dict[str, Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = list(rows_of(results))
        text, number, count = pa.string(), pa.float64(), pa.int64()
        types = (text, pa.date32(), count, count, text, text, text, number, number, number, text)
        schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
        for row in rows:
            row["day"] = date.fromisoformat(row["day"])
        with writing(self.folder / TABLE, binary=True) as handle:
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), handle)


def rows_of(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a check, in the order of the results."""
    rows = []
    for result in results:
        batch = result["batch"]
        head = {"batch": batch["id"], "day": batch["day"], "order": batch["order"], "n": batch["n"]}
        head |= {"variant": batch["variant"], "baseline": batch["baseline"]}
        for check in result["checks"]:
            rows.append(head | {key: check[key] for key in ("name", "value", "threshold", "p_value", "verdict")})
    return rows


def missing(results: list[dict[str, Any]]) -> list[tuple[date, date]]:
    """Days between which there should have been a batch: pairs further apart than `GAP`."""
    days = [date.fromisoformat(result["batch"]["day"]) for result in results]
    return [(first, second) for first, second in pairwise(days) if second - first > GAP]
