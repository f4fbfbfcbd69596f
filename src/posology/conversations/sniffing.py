"""What kind of file or folder is this? Decided by its first bytes; the suffix only breaks ties."""

from __future__ import annotations

import codecs
import difflib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from posology.conversations.decoding import BOM, conversion, open_bytes, reading_bytes, wide_encoding
from posology.conversations.faults import counted
from posology.errors import InputError

Kind = Literal["jsonl", "json", "csv", "tsv", "parquet", "arrow", "hf"]

_HEAD = 1 << 16
_DELIMITERS = ",\t;|"
_KIND_OF_SUFFIX: dict[str, Kind] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}
_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".gz")
_NAMES: dict[Kind, str] = {
    "jsonl": "JSON lines",
    "json": "a JSON array",
    "csv": "CSV",
    "tsv": "TSV",
    "parquet": "Parquet",
    "arrow": "Arrow",
    "hf": "a saved Hugging Face dataset",
}
_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "Unpack it, or export the sheet as CSV."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Unpack it with unzstd, or compress it with gzip instead."),
    (b"BZh", "compressed with bzip2", "Unpack it with bunzip2, or compress it with gzip instead."),
    (b"\xfd7zXZ", "compressed with xz", "Unpack it with unxz, or compress it with gzip instead."),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV."),
    (b"%PDF", "a PDF document", "Give the data file itself."),
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "Fetch the data: git lfs pull"),
    (b"<!DOCTYPE", "a web page", "Download the data file itself, not the page that shows it."),
    (b"<html", "a web page", "Download the data file itself, not the page that shows it."),
)


@dataclass(frozen=True, slots=True)
class Container:
    """Where rows are, and how to get at them.

    Attributes:
        path: The file or folder.
        kind: How it is built.
        compressed: Whether the file is packed with gzip.
        delimiter: Between the cells of a CSV or TSV file.
        files: The files that hold the rows, in order: the path itself, or the data files of a folder.
    """

    path: Path
    kind: Kind
    compressed: bool = False
    delimiter: str = ","
    files: tuple[Path, ...] = ()

    @property
    def is_table(self) -> bool:
        """Whether all rows have the same columns, so that an empty cell means nothing."""
        return self.kind not in ("jsonl", "json")

    @property
    def stem(self) -> str:
        """Its name without the suffix, and without the suffixes of `name.jsonl.gz`."""
        if self.kind == "hf":
            return self.path.resolve().name
        return Path(self.path.stem).stem if self.path.suffix == ".gz" else self.path.stem

    @property
    def description(self) -> str:
        """For people: `CSV with ';' between cells, packed with gzip`."""
        cells = f" with {self.delimiter!r} between cells" if self.kind == "csv" and self.delimiter != "," else ""
        return _NAMES[self.kind] + cells + (", packed with gzip" if self.compressed else "")


def sniff(path: Path, forced: Kind | None = None) -> Container:
    """Finds out how a file or folder is built.

    Args:
        path: The file or folder.
        forced: Take it for this kind, whatever it looks like.

    Raises:
        InputError: It is missing, empty or nothing that can be read.
    """
    with reading_bytes(path):
        if not path.exists():
            raise _missing(path)
        if path.is_dir():
            return _sniff_folder(path)
        if not path.is_file():
            raise InputError(
                "is neither a file nor a folder.", file=path, remedy="Save it to a file first: it is read twice."
            )
        with path.open("rb") as handle:
            compressed = handle.read(2) == b"\x1f\x8b"
        with open_bytes(path, compressed=compressed) as handle:
            head = handle.read(_HEAD)
    container = Container(path, forced or _kind(path, head), compressed, files=(path,))
    if container.kind in ("parquet", "arrow"):
        if compressed:
            raise InputError("is a packed Parquet or Arrow file.", file=path, remedy="Unpack it with gunzip.")
        return container
    _refuse_foreign(path, head)
    if container.kind == "jsonl" and _text_start(head).startswith(b"["):
        return replace(container, kind="json")
    if container.kind in ("csv", "tsv"):
        delimiter = _delimiter(path, head)
        return replace(container, kind="tsv" if delimiter == "\t" else "csv", delimiter=delimiter)
    return container


def near_names(wanted: str, names: list[str]) -> str:
    """` Did you mean ...?` with the most similar names, or nothing."""
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(near)}?" if near else ""


def _kind(path: Path, head: bytes) -> Kind:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"ARROW1") or (head.startswith(b"\xff\xff\xff\xff") and path.suffix == ".arrow"):
        return "arrow"
    start = _text_start(head)
    if start.startswith((b"{", b"[")):
        return "jsonl"
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    return _KIND_OF_SUFFIX.get(suffix.lower(), "csv")


def _text_start(head: bytes) -> bytes:
    return head.removeprefix(BOM).lstrip()


def _refuse_foreign(path: Path, head: bytes) -> None:
    if not _text_start(head):
        raise InputError("is empty.", file=path, remedy="Give a file with at least one row.")
    for magic, what, remedy in _FOREIGN:
        if head.startswith(magic):
            raise InputError(f"is {what}.", file=path, remedy=remedy)
    encoding = wide_encoding(head)
    if encoding:
        offset = 0 if encoding in ("UTF-16", "UTF-32") else head.index(0)
        raise InputError(
            f"is not UTF-8: byte 0x{head[offset]:02X} at offset {offset} (probably {encoding}).",
            file=path,
            remedy=conversion(path, encoding),
        )
    if b"\x00" in head and not _is_text(head):
        raise InputError(
            "is a binary file of an unknown kind.",
            file=path,
            remedy="Give JSONL, CSV, TSV, Parquet or a saved dataset.",
        )


def _is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are UTF-8; they may end in the middle of a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(path: Path, head: bytes) -> str:
    """The character that cuts the header line into most cells; in doubt what the suffix says, then the comma."""
    first = _text_start(head).splitlines()[0].decode("utf-8", "replace")
    bare = re.sub(r'"[^"]*"', "", first)
    preferred = "\t" if ".tsv" in path.suffixes or ".tab" in path.suffixes else ","
    return max(_DELIMITERS, key=lambda mark: (bare.count(mark), mark == preferred, mark == ","))


def _missing(path: Path) -> InputError:
    folder = path.parent
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    remedy = near_names(path.name, names) or (
        "Check the spelling." if folder.is_dir() else f"The folder {folder} does not exist either."
    )
    return InputError("no such file or folder.", file=path, remedy=remedy)


def _sniff_folder(path: Path) -> Container:
    """A folder written by `datasets`: `Dataset.save_to_disk`, or a `DatasetDict` with a single split."""
    if (path / "dataset_dict.json").is_file():
        splits = _json(path / "dataset_dict.json").get("splits", [])
        if len(splits) != 1:
            raise InputError(
                f"is a dataset with {counted(len(splits), 'split')}: {', '.join(map(str, splits))}.",
                file=path,
                remedy=f"Give the folder of one split, for example {path / str(splits[0])}." if splits else "",
            )
        return _sniff_folder(path / str(splits[0]))
    if (path / "state.json").is_file():
        named = [str(entry.get("filename")) for entry in _json(path / "state.json").get("_data_files", [])]
        files = tuple(path / Path(name).name for name in named)
    else:
        files = tuple(sorted(path.glob("*.arrow"))) if (path / "dataset_info.json").is_file() else ()
    lost = next((file for file in files if not file.is_file()), None)
    if lost is not None:
        raise InputError("a data file of the dataset is missing.", file=lost, remedy="Copy the whole folder again.")
    if not files:
        raise _foreign_folder(path)
    return Container(path, "hf", files=files)


def _json(path: Path) -> dict[str, Any]:
    with reading_bytes(path):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise InputError("is damaged: not a JSON object.", file=path, remedy="Save the dataset again.")
    return value


def _foreign_folder(path: Path) -> InputError:
    candidates = sorted(p for p in (*path.glob("*"), *path.glob("data/*")) if p.suffix.lower() in _SUFFIXES)
    names = ", ".join(str(p.relative_to(path)) for p in candidates[:5])
    remedy = f"Give one of the files in it: {names}." if names else "Give a data file, or a folder of save_to_disk."
    return InputError("is a folder, but not a saved Hugging Face dataset.", file=path, remedy=remedy)
