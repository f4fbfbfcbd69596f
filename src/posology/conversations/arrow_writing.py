"""Conversations as Parquet files and as folders that `datasets.load_from_disk` opens, written with pyarrow alone.

The columns are the same whatever the data: id, messages, topic, source, meta. What differs from row to row, the fields
of `meta` and the further fields of a message, is kept as JSON text.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from posology.errors import StoreError, UsageError
from posology.records import Conversation, Message
from posology.store import dumps, write_json, writing

_ROWS_A_BATCH = 8192
_VALUE = {"dtype": "string", "_type": "Value"}
_FEATURES = {
    "id": _VALUE,
    "messages": [{"role": _VALUE, "content": _VALUE, "extra_json": _VALUE}],
    "topic": _VALUE,
    "source": _VALUE,
    "meta": _VALUE,
}
_DATA = "data-00000-of-00001.arrow"
_FOLDER_FILES = ("dataset_info.json", "state.json")


def write_parquet(conversations: Iterable[Conversation], path: Path) -> int:
    """Writes one Parquet file, whole or not at all.

    Returns:
        How many rows were written.
    """
    from pyarrow import parquet

    with writing(path, binary=True) as handle, parquet.ParquetWriter(handle, _schema()) as writer:
        return _write_batches(conversations, writer)


def write_folder(conversations: Iterable[Conversation], path: Path) -> int:
    """Writes a folder as `Dataset.save_to_disk` does, whole or not at all.

    Returns:
        How many rows were written.

    Raises:
        UsageError: Something stands at `path` that is no such folder.
        StoreError: The folder cannot be written.
    """
    import pyarrow as pa

    with _new_folder(path) as folder:
        with writing(folder / _DATA, binary=True) as handle, pa.ipc.new_stream(handle, _schema()) as writer:
            count = _write_batches(conversations, writer)
        write_json(
            folder / "dataset_info.json",
            {"citation": "", "description": "", "features": _FEATURES, "homepage": "", "license": ""},
        )
        write_json(
            folder / "state.json",
            {
                "_data_files": [{"filename": _DATA}],
                "_fingerprint": "posology",
                "_format_columns": None,
                "_format_kwargs": {},
                "_format_type": None,
                "_output_all_columns": False,
                "_split": None,
            },
        )
    return count


def _schema() -> Any:  # noqa: ANN401 - a pyarrow Schema
    import pyarrow as pa

    text = pa.string()
    turn = pa.struct([("role", text), ("content", text), ("extra_json", text)])
    return pa.schema([("id", text), ("messages", pa.list_(turn)), ("topic", text), ("source", text), ("meta", text)])


def _write_batches(conversations: Iterable[Conversation], writer: Any) -> int:  # noqa: ANN401 - a pyarrow writer
    import pyarrow as pa

    schema, stream, count = _schema(), iter(conversations), 0
    while some := list(islice(stream, _ROWS_A_BATCH)):
        writer.write_batch(pa.RecordBatch.from_pylist([_row(conversation) for conversation in some], schema=schema))
        count += len(some)
    return count


def _row(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "messages": [_turn(message) for message in conversation.messages],
        "topic": conversation.topic,
        "source": conversation.source,
        "meta": dumps(dict(conversation.meta)) if conversation.meta else None,
    }


def _turn(message: Message) -> dict[str, str | None]:
    extra = dumps(dict(message.extra)) if message.extra else None
    return {"role": message.role, "content": message.content, "extra_json": extra}


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A folder that takes the place of `path` only if the block ends well."""
    if path.exists() and not _is_saved_dataset(path):
        raise UsageError(
            f"{path} exists and is no saved dataset.", remedy="Give a new name, or remove it; it is not overwritten."
        )
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        folder = temporary / "new"
        folder.mkdir()
        yield folder
        if path.exists():
            path.rename(temporary / "old")
        folder.rename(path)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}.", remedy="Check the path and its permissions."
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _is_saved_dataset(path: Path) -> bool:
    return path.is_dir() and all(
        entry.is_file() and (entry.name in _FOLDER_FILES or entry.suffix == ".arrow") for entry in path.iterdir()
    )
