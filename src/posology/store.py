"""The run folder: one folder a stage, each with its rows and a manifest written last.

A stage is done when its manifest stands and names the same fingerprint; a folder without one is half-written and is
made again. Files appear under their names only when whole (written aside, synced, renamed), so a kill or a full disk at
any moment leaves either the old file or the new one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

from posology.errors import StoreError

SCHEMA_VERSION = 1
SETTINGS = "config.json"  # the settings under which the pool was verified, or the holdout set apart
PART = ".part"
_canonical = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode
STAGES = ("split", "gaps", "generate", "verify", "select", "mix", "sweep", "collapse", "recurse", "report")


@contextmanager
def writing(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Opens a file that appears at `path` only if the block ends well.

    Args:
        path: Where the file is to stand; its folder is made if missing.
        binary: Bytes instead of UTF-8 text.

    Yields:
        The open temporary file, in the same folder.

    Raises:
        StoreError: The disk is full, or the folder cannot be written.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=PART, dir=path.parent)
        with os.fdopen(descriptor, "wb" if binary else "w", encoding=None if binary else "utf-8") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise _store_error(error, path) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _store_error(error: OSError, path: Path) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreError(
            f"no room left on the disk while writing {path}.",
            remedy="Free some space and run the same command again; everything finished is kept.",
        )
    return StoreError(f"cannot write {path}: {error.strerror or error}.", remedy="Check the path and its permissions.")


def dumps(value: object) -> str:
    """Canonical one-line JSON: same value, same bytes. NaN is refused."""
    return _canonical(value)


def write_json(path: Path, value: object) -> None:
    """Writes one indented JSON document, whole or not at all."""
    with writing(path) as handle:
        json.dump(value, handle, ensure_ascii=False, allow_nan=False, indent=1)
        handle.write("\n")


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes one JSON object a line, whole or not at all.

    Returns:
        How many rows were written.
    """
    count = 0
    with writing(path) as handle:
        for row in rows:
            handle.write(dumps(row) + "\n")
            count += 1
    return count


def read_json(path: Path) -> Any:  # noqa: ANN401 - the shape is the caller's contract
    """Reads one JSON document.

    Raises:
        StoreError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        stage = path.parent.name
        first = f"Run `posology {stage}` first." if stage in STAGES else "Run what writes it first."
        raise StoreError(f"{path} is missing.", remedy=first) from error
    except (ValueError, OSError) as error:
        raise StoreError(f"{path} is damaged.", remedy="Delete it and run the stage that writes it again.") from error


@cache
def git_state(folder: Path) -> Mapping[str, object] | None:
    """Commit and cleanliness of the git work tree that `folder` lies in, None where there is none."""
    try:
        command = ["git", "-C", str(folder), "status", "--porcelain=v2", "--branch"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    commit = next((line.split()[-1] for line in answer if line.startswith("# branch.oid")), None)
    return {"commit": commit, "dirty": any(not line.startswith("#") for line in answer)}


class Stage:
    """One stage's folder inside a run.

    Args:
        folder: Where its files stand.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def manifest(self) -> dict[str, Any] | None:
        """The manifest of a finished stage; None if missing or damaged, which means: not finished."""
        try:
            value = read_json(self.folder / "manifest.json")
        except StoreError:
            return None
        return value if isinstance(value, dict) else None

    def is_done(self, fingerprint: str) -> bool:
        """Whether the stage was finished with these very inputs and settings, and its files still stand."""
        manifest = self.manifest
        return (
            manifest is not None
            and manifest.get("fingerprint") == fingerprint
            and all((self.folder / name).is_file() for name in manifest.get("files", ()))
        )

    def begin(self) -> None:
        """Marks the stage as unfinished: removes the manifest and what a kill left half-written, nothing else."""
        (self.folder / "manifest.json").unlink(missing_ok=True)
        for part in self.folder.rglob(f".*{PART}"):
            part.unlink(missing_ok=True)

    def finish(self, fingerprint: str, *, files: Iterable[str], timings: Mapping[str, float], **facts: object) -> None:
        """Writes the manifest, which makes the stage count as done.

        Args:
            fingerprint: Identity of inputs and settings.
            files: Names of the files that the stage wrote.
            timings: Seconds by step; the only part that may differ between two equal runs.
            **facts: Seeds, counts, input hashes, warnings: whatever makes the files explain themselves.
        """
        from posology import __version__

        write_json(
            self.folder / "manifest.json",
            {
                "schema_version": SCHEMA_VERSION,
                "stage": self.folder.name,
                "fingerprint": fingerprint,
                "posology": __version__,
                "python": platform.python_version(),
                "git": git_state(Path.cwd()),
                "files": sorted(files),
                **facts,
                "timings": {name: round(seconds, 3) for name, seconds in timings.items()},
            },
        )


@dataclass(slots=True)
class Record:
    """What a running stage notes down for its manifest."""

    files: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class RunFolder:
    """The folder of one run. Use as a context manager to keep a second process out.

    Args:
        path: The folder; made when entered.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    def stage(self, name: str) -> Stage:
        """The folder of a stage, one of `STAGES`."""
        if name not in STAGES:
            raise ValueError(f"no stage {name!r}")
        return Stage(self.path / name)

    @contextmanager
    def running(
        self, name: str, fingerprint: str, *, settings: Mapping[str, Any] | None = None, start: float | None = None
    ) -> Iterator[Record]:
        """Runs a stage: takes its manifest away first, and writes it last.

        Args:
            name: The stage.
            fingerprint: Identity of inputs and settings.
            settings: For the verbs after it; None leaves those that are there.
            start: When it began, by `time.perf_counter`, if that was before.

        Yields:
            Where it notes its files and facts.
        """
        stage, record = self.stage(name), Record()
        start = time.perf_counter() if start is None else start
        if settings is not None:
            write_json(self.path / SETTINGS, settings)
        stage.begin()
        yield record
        seconds = {"total": time.perf_counter() - start}
        stage.finish(fingerprint, files=record.files, timings=seconds, **{"warnings": [], **record.facts})

    def __enter__(self) -> RunFolder:
        """Locks the folder.

        Raises:
            StoreError: Another process is working in it, or it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = (self.path / "run.lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise _store_error(error, self.path) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            handle.close()
            raise StoreError(
                f"another posology process (id {owner}) is working in {self.path}.",
                remedy="Wait for it to end, or give this run another folder with --out.",
            ) from error
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        self._lock = handle
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
