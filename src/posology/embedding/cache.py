"""Vectors on disk, so that a text is embedded once on this machine and not once a run.

One SQLite file for all encoders. A row is found by the encoder's identity and the SHA-256 of the text: texts are not
stored. A cache is a convenience, so nothing that goes wrong with it stops a run: a damaged file is set aside and made
anew, and where none can be written the run goes on without, either with one warning.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from posology.models.home import home

FORMAT = 1
KEYS_A_QUERY = 500
PATIENCE = 30.0  # seconds that one process waits for another to finish writing
LITTLE_ENDIAN = np.dtype("<f4")

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS encoders (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS vectors (
  encoder INTEGER NOT NULL REFERENCES encoders, text_sha256 BLOB NOT NULL, vector BLOB NOT NULL,
  PRIMARY KEY (encoder, text_sha256)
);
PRAGMA user_version = {FORMAT};
COMMIT;
"""
_DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}  # ERROR: not our tables

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class VectorCache:
    """Unit vectors by encoder identity and text hash.

    Every call opens and closes the file: an instance holds nothing, and may be shared by threads, forked and pickled.

    Args:
        path: The file; by default under `home()`. It is made when first needed.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "vectors" / f"vectors-{FORMAT}.sqlite"
        self._off = False

    def look_up(self, identity: str, keys: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Finds what is stored.

        Args:
            identity: The encoder's.
            keys: n distinct text hashes, 32 bytes each.

        Returns:
            Positions in `keys` that were found, ascending, shape (m,), and their vectors, shape (m, dim); (0, 0) if
            nothing was.
        """
        found = self._guarded(lambda connection: _select(connection, identity, keys))
        return _decode(keys, found or {})

    def store(self, identity: str, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Stores n vectors, shape (n, dim), all or none; once this returns, killing the process does not lose them."""
        blobs = [row.tobytes() for row in np.ascontiguousarray(vectors, dtype=LITTLE_ENDIAN)]
        self._guarded(lambda connection: _insert(connection, identity, keys, blobs))

    def _guarded(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Does the work on the open file; None if no file is to be had."""
        for can_recover in (True, False):
            if self._off:
                break
            inode: int | None = None
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as connection:
                    inode = self.path.stat().st_ino
                    _prepare(connection)
                    return work(connection)
            except sqlite3.DatabaseError as error:
                if can_recover and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                    self._set_aside(inode)
                else:
                    self._give_up(error)
            except OSError as error:
                self._give_up(error)
        return None

    def _set_aside(self, inode: int | None) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            if self.path.stat().st_ino != inode:  # another process was faster: a new file stands there
                return
            self.path.replace(aside)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            self._give_up(error)
            return
        _log.warning("the cache of vectors is damaged; it is set aside as %s and made anew.", aside)

    def _give_up(self, error: Exception) -> None:
        """No room, read-only, locked for too long, a file system without locks: from here on without."""
        self._off = True
        _log.warning("going on without the cache of vectors in %s: %s.", self.path.parent, error)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    if connection.execute("PRAGMA user_version").fetchone() == (FORMAT,):
        return
    connection.execute("PRAGMA journal_mode = WAL")  # lasts: the file itself remembers it
    connection.executescript(_SCHEMA)


def _encoder(connection: sqlite3.Connection, identity: str) -> int | None:
    row = connection.execute("SELECT id FROM encoders WHERE identity = ?", (identity,)).fetchone()
    return None if row is None else row[0]


def _select(connection: sqlite3.Connection, identity: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    encoder = _encoder(connection, identity)
    for start in range(0, 0 if encoder is None else len(keys), KEYS_A_QUERY):
        some = keys[start : start + KEYS_A_QUERY]
        marks = ",".join("?" * len(some))
        query = f"SELECT text_sha256, vector FROM vectors WHERE encoder = ? AND text_sha256 IN ({marks})"
        found.update(connection.execute(query, (encoder, *some)))
    return found


def _insert(connection: sqlite3.Connection, identity: str, keys: Sequence[bytes], blobs: Sequence[bytes]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT OR IGNORE INTO encoders (identity) VALUES (?)", (identity,))
    encoder = _encoder(connection, identity)
    rows = ((encoder, key, blob) for key, blob in zip(keys, blobs, strict=True))
    connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
    connection.execute("COMMIT")


def _decode(keys: Sequence[bytes], found: dict[bytes, bytes]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions and vectors of the rows that can be unit vectors; a row that cannot be is embedded again."""
    widths = Counter(len(blob) for blob in found.values())
    width = widths.most_common(1)[0][0] if widths else 0
    positions = [i for i, key in enumerate(keys) if len(found.get(key, b"")) == width > 0 and width % 4 == 0]
    joined = b"".join(found[keys[i]] for i in positions)
    vectors = np.frombuffer(joined, dtype=LITTLE_ENDIAN).astype(np.float32).reshape(len(positions), width // 4)
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
    sound = (np.abs(lengths - 1) < 1e-3) | (lengths == 0)
    return np.asarray(positions, dtype=np.int64)[sound], vectors[sound]
