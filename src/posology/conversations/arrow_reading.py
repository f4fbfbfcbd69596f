"""Rows of Parquet files, Arrow files and the folders of `datasets.save_to_disk`, read batch by batch with pyarrow."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from posology.conversations.faults import RowFault, counted, shown
from posology.conversations.sniffing import Container
from posology.errors import InputError

# Rows taken into Python at a time: enough to be quick, few enough for long dialogues.
_BATCH = 2048


def rows(container: Container) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    """The rows of all files of a container, numbered from 1 over all of them.

    Integers of a ClassLabel column become the names that the dataset keeps for them, binary columns are left out.

    Raises:
        InputError: A file is damaged.
    """
    number = 0
    for file in container.files:
        with _reading_arrow(file):
            for batch in _parquet_batches(file) if container.kind == "parquet" else _arrow_batches(file):
                for row in _rows_of(batch, _class_names(container.path, batch.schema), file):
                    number += 1
                    yield number, row


@contextmanager
def _reading_arrow(file: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        cause = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"is damaged or cut short ({cause.rstrip('.')}).", file=file, remedy="Copy, download or save it again."
        ) from error


def _parquet_batches(file: Path) -> Iterator[Any]:
    from pyarrow import parquet

    with parquet.ParquetFile(file, buffer_size=1 << 20) as handle:
        kept = [field.name for field in handle.schema_arrow if not _is_binary(field.type)]
        every = len(kept) == len(handle.schema_arrow)
        yield from handle.iter_batches(batch_size=_BATCH, columns=None if every else kept)


def _arrow_batches(file: Path) -> Iterator[Any]:
    import pyarrow as pa

    with pa.OSFile(str(file)) as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        if is_file:
            opened = pa.ipc.open_file(source)
            batches = (opened.get_batch(i) for i in range(opened.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(source))
        for batch in batches:
            # Bytes of an Arrow file are taken as they are: wrong offsets would crash the interpreter.
            batch.validate(full=True)
            for start in range(0, batch.num_rows, _BATCH):
                yield batch.slice(start, _BATCH)


def _is_binary(kind: Any) -> bool:  # noqa: ANN401 - a pyarrow DataType
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _class_names(path: Path, schema: Any) -> dict[str, Sequence[str]]:  # noqa: ANN401 - a pyarrow Schema
    """The names behind the integers of ClassLabel columns, from `dataset_info.json` or the schema's own notes."""
    features: object = None
    info = path / "dataset_info.json"
    try:
        if info.is_file():
            features = json.loads(info.read_text(encoding="utf-8")).get("features")
        elif schema.metadata and b"huggingface" in schema.metadata:
            features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    except (ValueError, KeyError, TypeError, AttributeError):
        if info.is_file():
            raise InputError("is damaged: not a JSON object.", file=info, remedy="Save the dataset again.") from None
    if not isinstance(features, Mapping):
        return {}
    return {
        name: feature["names"]
        for name, feature in features.items()
        if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel" and feature.get("names")
    }


def _rows_of(
    batch: Any,  # noqa: ANN401 - a pyarrow RecordBatch
    class_names: Mapping[str, Sequence[str]],
    file: Path,
) -> Iterator[dict[str, Any]]:
    names: list[str] = batch.schema.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"has two columns named {shown(twice)}.", file=file, remedy="Give each a name of its own.")
    kept = [name for name in names if not _is_binary(batch.schema.field(name).type)]
    columns = [_cells(batch.column(name), class_names.get(name), f"{file}: column {name!r}") for name in kept]
    return (dict(zip(kept, cells, strict=True)) for cells in zip(*columns, strict=True))


def _cells(column: Any, labels: Sequence[str] | None, where: str) -> list[Any]:  # noqa: ANN401 - a pyarrow Array
    import pyarrow as pa

    kind = column.type
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.string())
    cells: list[Any] = column.to_pylist()
    if labels is not None and pa.types.is_integer(kind):
        return [_label(cell, labels, where) for cell in cells]
    if pa.types.is_nested(kind) or pa.types.is_floating(kind):
        return [_plain(cell) for cell in cells]
    return cells


def _label(index: int | None, labels: Sequence[str], where: str) -> str | None:
    """The name of a class; -1 is how `datasets` writes a label that is not known."""
    if index is None or index == -1:
        return None
    if not 0 <= index < len(labels):
        raise InputError(
            f"{where} has the class {index}, but only {counted(len(labels), 'class name')}.",
            remedy="Save the dataset again with all its class names.",
        )
    return labels[index]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any Arrow value
    """A JSON-like value. Nulls inside structs go: Arrow fills in every field that any row has."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, bytes) else str(value)
