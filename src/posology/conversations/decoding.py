"""From a file to lines of bytes to text: compression, damage and wrong encodings are told apart here."""

from __future__ import annotations

import gzip
import io
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from posology.conversations.faults import RowFault
from posology.errors import InputError

BOM = b"\xef\xbb\xbf"
_BUFFER = 1 << 18


class Line(NamedTuple):
    """A line as it stands in the file, its end included.

    Attributes:
        number: Counted from 1.
        offset: Where it begins, in bytes of the (unpacked) file.
        raw: Its bytes.
    """

    number: int
    offset: int
    raw: bytes


@contextmanager
def reading_bytes(path: Path) -> Iterator[None]:
    """Turns what the operating system and the decompressor raise into an InputError that names the file."""
    try:
        yield
    except EOFError as error:
        raise InputError(
            "the gzip data is cut short.", file=path, remedy="Copy or download the file again; it is incomplete."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError("the gzip data is damaged.", file=path, remedy="Copy or download the file again.") from error
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}.", file=path, remedy="Check the path and its permissions."
        ) from error


def open_bytes(path: Path, *, compressed: bool) -> IO[bytes]:
    """Opens a file for reading, unpacking it on the way if it is compressed."""
    if compressed:
        return io.BufferedReader(gzip.open(path, "rb"), _BUFFER)
    return path.open("rb", buffering=_BUFFER)


def numbered_lines(path: Path, *, compressed: bool) -> Iterator[Line]:
    """The lines of a file, one at a time, without a leading byte-order mark.

    Raises:
        InputError: The file cannot be read, or its compression is damaged.
    """
    number = offset = 0
    with reading_bytes(path), open_bytes(path, compressed=compressed) as handle:
        for raw in handle:
            number += 1
            start, offset = offset, offset + len(raw)
            if number == 1 and raw.startswith(BOM):
                start, raw = len(BOM), raw[len(BOM) :]
            yield Line(number, start, raw)


def not_utf8(path: Path, error: UnicodeDecodeError, *, offset: int = 0) -> RowFault:
    """The fault of bytes that are no UTF-8, with a guess at what they are.

    Args:
        path: The file they stand in.
        error: What decoding raised.
        offset: Where the decoded bytes begin in the file.
    """
    position = offset + error.start
    if error.reason == "unexpected end of data":
        return RowFault(
            f"is not UTF-8: at byte {position} the file ends, or the line does, in the middle of a character.",
            remedy="The file is probably cut short: copy or download it again.",
        )
    guess = "WINDOWS-1252" if any(0x80 <= byte <= 0x9F for byte in error.object) else "LATIN1"
    return RowFault(
        f"is not UTF-8: byte 0x{error.object[error.start]:02X} at offset {position} (probably {guess}).",
        remedy=conversion(path, guess),
    )


def conversion(path: Path, encoding: str) -> str:
    """How to convert a file to UTF-8."""
    target = path.with_name(f"{path.stem}.utf8{path.suffix}")
    return f"Convert it: iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))} > {shlex.quote(str(target))}"


def wide_encoding(head: bytes) -> str | None:
    """The name of a two- or four-byte encoding if the first bytes of a file look like one."""
    for mark, name in ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if head.startswith(mark):
            return name
    even, odd = head[0::2], head[1::2]
    if len(odd) >= 8 and odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.1 * len(even):
        return "UTF-16LE"
    if len(even) >= 8 and even.count(0) > 0.4 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "UTF-16BE"
    return None
