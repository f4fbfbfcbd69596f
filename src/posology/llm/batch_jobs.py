"""What was handed to a batch API and is not collected yet, on disk: a restart goes on where the last run was.

    batches.json    every open job: its mark, the provider's id, how many items, which attempt
    MARK.jsonl      the requests of one job; removed when its results are in the ledger

A job is written down before it is submitted. One without an id was cut off in between: the provider is asked for it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from posology.errors import StoreError
from posology.llm.calls import request_from_json, request_to_json
from posology.llm.contract import ChatRequest
from posology.store import read_json, write_json, write_jsonl

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Job:
    """A batch that was or is about to be submitted.

    Attributes:
        mark: Our name for it.
        id: The provider's; None until the provider has confirmed it.
        items: How many requests it has.
        attempt: 1, or more for items that an earlier batch left undone.
        created: Seconds since 1970 at which it was about to be submitted.
    """

    mark: str
    id: str | None
    items: int
    attempt: int
    created: float


class Jobs:
    """The open jobs in a folder. One process at a time: the run folder's lock sees to that.

    Args:
        folder: Where the files stand; made with the first job.
        provider: Identity of where they were sent.

    Raises:
        StoreError: The folder holds jobs of another provider, or is damaged.
    """

    def __init__(self, folder: Path, provider: str) -> None:
        self._folder = folder
        self._provider = provider
        self._open: dict[str, Job] = {}
        if self._state.exists():
            self._load()

    def open(self) -> list[Job]:
        """The open jobs, oldest first."""
        return list(self._open.values())

    def begin(self, requests: Mapping[str, ChatRequest], attempt: int) -> Job:
        """Writes down a job that is about to be submitted.

        Args:
            requests: By key.
            attempt: From 1.
        """
        job = Job(secrets.token_hex(8), None, len(requests), attempt, time.time())
        rows = ({"key": key, "request": request_to_json(request)} for key, request in requests.items())
        write_jsonl(self._requests(job), rows)
        self._open[job.mark] = job
        self._save()
        return job

    def confirm(self, job: Job, id: str) -> Job:
        """Writes down the provider's name for a job."""
        confirmed = self._open[job.mark] = replace(job, id=id)
        self._save()
        return confirmed

    def end(self, job: Job) -> None:
        """Forgets a job: its results are kept elsewhere, or it never was."""
        del self._open[job.mark]
        self._save()
        self._requests(job).unlink(missing_ok=True)

    def requests(self, job: Job) -> dict[str, ChatRequest]:
        """The requests of a job, by key.

        Raises:
            StoreError: They cannot be read.
        """
        import json

        found: dict[str, ChatRequest] = {}
        try:
            with self._requests(job).open(encoding="utf-8") as handle:
                for line in handle:
                    row = json.loads(line)
                    found[row["key"]] = request_from_json(row["request"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(self._requests(job)) from error
        return found

    @property
    def _state(self) -> Path:
        return self._folder / "batches.json"

    def _requests(self, job: Job) -> Path:
        return self._folder / f"{job.mark}.jsonl"

    def _save(self) -> None:
        jobs = [asdict(job) for job in self._open.values()]
        write_json(self._state, {"schema_version": FORMAT, "provider": self._provider, "jobs": jobs})

    def _load(self) -> None:
        state: Any = read_json(self._state)
        try:
            jobs = [Job(**job) for job in state["jobs"]]
            provider = state["provider"]
        except (KeyError, TypeError) as error:
            raise self._damaged(self._state) from error
        if jobs and provider != self._provider:
            raise StoreError(
                f"{self._folder} waits for batches of {provider}, not of {self._provider}.",
                remedy="Collect them first with the model that they were sent to, or use another run folder.",
            )
        self._open = {job.mark: job for job in jobs}

    def _damaged(self, path: Path) -> StoreError:
        return StoreError(
            f"{path} is missing or damaged, so batches in flight cannot be collected.",
            remedy=f"Look for them at the provider; remove {self._folder} to start anew and pay for them again.",
        )
