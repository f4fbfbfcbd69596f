import hashlib
import logging
import os
import pickle
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from posology.embedding import cache as module
from posology.embedding.cache import VectorCache
from posology.embedding.vectors import unit_rows


def keys_of(numbers):
    return [hashlib.sha256(str(n).encode()).digest() for n in numbers]


def vectors_of(numbers, dim=8):
    return unit_rows(np.stack([np.random.default_rng(n).normal(size=dim) for n in numbers]))


@pytest.fixture
def cache(tmp_path):
    return VectorCache(tmp_path / "vectors.sqlite")


def assert_holds(cache, numbers, identity="e"):
    positions, vectors = cache.look_up(identity, keys_of(numbers))
    assert positions.tolist() == list(range(len(numbers)))
    assert np.array_equal(vectors, vectors_of(numbers))


def test_what_is_stored_is_found(cache):
    cache.store("e", keys_of(range(10)), vectors_of(range(10)))
    assert_holds(VectorCache(cache.path), range(10))
    positions, vectors = cache.look_up("e", keys_of([99, 3, 98, 1]))
    assert positions.tolist() == [1, 3] and positions.dtype == np.int64
    assert np.array_equal(vectors, vectors_of([3, 1])) and vectors.dtype == np.float32


def test_nothing(cache):
    for keys in ([], keys_of([1])):
        positions, vectors = cache.look_up("e", keys)
        assert positions.shape == (0,) and vectors.shape == (0, 0)
    cache.store("e", [], np.zeros((0, 8), dtype=np.float32))


def test_encoders_do_not_mix(cache):
    cache.store("a", keys_of([1]), vectors_of([1]))
    cache.store("b", keys_of([1]), vectors_of([2], dim=3))
    assert np.array_equal(cache.look_up("a", keys_of([1]))[1], vectors_of([1]))
    assert np.array_equal(cache.look_up("b", keys_of([1]))[1], vectors_of([2], dim=3))
    assert len(cache.look_up("c", keys_of([1]))[0]) == 0


def test_storing_again_replaces(cache):
    cache.store("e", keys_of([1]), vectors_of([2]))
    cache.store("e", keys_of([1, 2]), vectors_of([1, 2]))
    assert_holds(cache, [1, 2])


def test_the_zero_vector_is_a_vector(cache):
    cache.store("e", keys_of([1]), np.zeros((1, 8), dtype=np.float32))
    positions, vectors = cache.look_up("e", keys_of([1]))
    assert positions.tolist() == [0] and not vectors.any()


def test_only_hashes_are_written(cache):
    text = "my card number is secret"
    cache.store("e", [hashlib.sha256(text.encode()).digest()], vectors_of([1]))
    for path in cache.path.parent.iterdir():
        assert text.encode() not in path.read_bytes()


def test_by_default_it_is_under_home(monkeypatch, tmp_path):
    monkeypatch.setenv("POSOLOGY_HOME", str(tmp_path))
    cache = VectorCache()
    assert not any(tmp_path.iterdir())
    cache.store("e", keys_of([1]), vectors_of([1]))
    assert [path.name for path in (tmp_path / "vectors").iterdir()] == ["vectors-1.sqlite"]


def test_an_instance_travels(cache):
    cache.store("e", keys_of([1]), vectors_of([1]))
    assert_holds(pickle.loads(pickle.dumps(cache)), [1])


def test_looking_up_is_fast(cache):
    numbers = range(20_000)
    keys = keys_of(numbers)
    cache.store("e", keys, unit_rows(np.random.default_rng(0).normal(size=(20_000, 384))))
    start = time.process_time()
    positions, _ = cache.look_up("e", keys)
    assert len(positions) == 20_000
    assert time.process_time() - start < 1  # a few times what it should take


def test_rows_that_cannot_be_unit_vectors_are_not_served(cache):
    cache.store("e", keys_of(range(6)), vectors_of(range(6)))
    bad = [b"", b"xyz", np.full(8, np.nan, "<f4").tobytes(), np.full(8, 9, "<f4").tobytes()]
    connection = sqlite3.connect(cache.path)
    for key, blob in zip(keys_of(range(4)), bad, strict=True):
        connection.execute("UPDATE vectors SET vector = ? WHERE text_sha256 = ?", (blob, key))
    connection.commit()
    connection.close()
    positions, vectors = cache.look_up("e", keys_of(range(6)))
    assert positions.tolist() == [4, 5] and np.array_equal(vectors, vectors_of([4, 5]))


def garbage(path):
    path.write_bytes(b"this is no database " * 1000)


def overwritten_middle(path):
    content = bytearray(path.read_bytes())
    content[4096 : len(content) - 4096] = os.urandom(len(content) - 8192)
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: 4096 * 3])


def foreign(path):
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE vectors (something)")
    connection.execute(f"PRAGMA user_version = {module.FORMAT}")
    connection.close()


@pytest.mark.parametrize("damage", [garbage, overwritten_middle, cut, foreign])
def test_a_damaged_file_is_set_aside_and_made_anew(cache, caplog, damage):
    cache.store("e", keys_of(range(2000)), vectors_of(range(2000)))
    damage(cache.path)
    fresh = VectorCache(cache.path)
    positions, _ = fresh.look_up("e", keys_of(range(2000)))
    assert len(positions) == 0
    fresh.store("e", keys_of([1, 2]), vectors_of([1, 2]))
    assert_holds(fresh, [1, 2])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "set aside" in record.getMessage()
    assert cache.path.with_name(f"{cache.path.name}.damaged").exists()


def test_damage_that_another_process_has_mended_is_left_alone(cache, caplog, monkeypatch):
    cache.store("e", keys_of([1]), vectors_of([1]))
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    select, failures = module._select, [error]

    def fail_once(*arguments):
        if failures:
            cache.path.rename(cache.path.with_name("old"))
            VectorCache(cache.path).store("e", keys_of([1]), vectors_of([1]))
            raise failures.pop()
        return select(*arguments)

    monkeypatch.setattr(module, "_select", fail_once)
    assert_holds(cache, [1])
    assert not caplog.records and not cache.path.with_name(f"{cache.path.name}.damaged").exists()


def without(cache, caplog):
    """Every call is answered, and one warning is all that is heard."""
    for _ in range(3):
        assert len(cache.look_up("e", keys_of([1]))[0]) == 0
        cache.store("e", keys_of([1]), vectors_of([1]))
    (record,) = caplog.records
    assert "going on without" in record.getMessage()


def test_a_folder_that_cannot_be_made(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    without(VectorCache(tmp_path / "file" / "vectors.sqlite"), caplog)


def test_a_folder_in_place_of_the_file(tmp_path, caplog):
    without(VectorCache(tmp_path), caplog)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (sqlite3.SQLITE_FULL, "database or disk is full"),
        (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    ],
)
def test_errors_of_the_disk(cache, caplog, monkeypatch, code, text):
    def fail(*_):
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(module, "_insert", fail)
    without(cache, caplog)
    assert text in caplog.records[0].getMessage()


def run(tmp_path, code, *arguments):
    prelude = (
        "import sys, hashlib, numpy as np; from posology.embedding.cache import VectorCache; from pathlib import Path"
    )
    script = f"{prelude}\ncache = VectorCache(Path(sys.argv[1]))\n{code}"
    return subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "vectors.sqlite"), *arguments], stderr=subprocess.PIPE, text=True
    )


def test_a_file_that_may_not_grow(tmp_path):
    """A limit on the size of files stands for a disk that is full: the write fails in the midst of a transaction."""
    code = """
import resource
cache.store("e", [b"a" * 32], np.eye(1, 384, dtype=np.float32))
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
for n in range(3):
    keys = [hashlib.sha256(b"%d" % (1000 * n + i)).digest() for i in range(500)]
    cache.store("e", keys, np.eye(500, dtype=np.float32))
"""
    process = run(tmp_path, code)
    errors = process.communicate()[1]
    assert process.returncode == 0 and errors.count("going on without") == 1
    cache = VectorCache(tmp_path / "vectors.sqlite")
    assert cache.look_up("e", [b"a" * 32])[0].tolist() == [0]


def test_processes_share_the_file(tmp_path):
    code = """
for n in range(25):
    keys = [hashlib.sha256(b"%s %d %d" % (sys.argv[2].encode(), n, i)).digest() for i in range(8)]
    cache.store("e", keys, np.eye(8, 16, dtype=np.float32))
    assert len(cache.look_up("e", keys)[0]) == 8
"""
    processes = [run(tmp_path, code, str(number)) for number in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 3
    keys = [hashlib.sha256(b"%d %d %d" % (p, n, i)).digest() for p in range(3) for n in range(25) for i in range(8)]
    assert len(VectorCache(tmp_path / "vectors.sqlite").look_up("e", keys)[0]) == 600
