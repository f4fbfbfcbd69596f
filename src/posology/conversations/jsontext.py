"""JSON as it is found in the wild, turned into values that can be written again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from posology.conversations.faults import RowFault

# NaN and the infinities are no JSON, and the tool's own files refuse them: they are read as "nothing there".
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def parse(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Parses one JSON value.

    Raises:
        RowFault: It is broken; says at which column.
    """
    try:
        value, end = _DECODER.raw_decode(text, skip_space(text, 0))
        end = skip_space(text, end)
        if end != len(text):
            raise json.JSONDecodeError("Something follows the value", text, end)
        return mended(value) if _may_hold_lone_surrogates(text) else value
    except (ValueError, RecursionError) as error:
        _raise_fault(error)


def parse_array(text: str) -> Iterator[Any]:
    """The elements of one JSON array, one at a time.

    Raises:
        RowFault: The array is broken; says at which line and column.
    """
    mend = _may_hold_lone_surrogates(text)
    try:
        position = skip_space(text, skip_space(text, 0) + 1)
        while not text.startswith("]", position):
            value, position = _DECODER.raw_decode(text, position)
            yield mended(value) if mend else value
            position = _next_element(text, position)
        end = skip_space(text, position + 1)
        if end != len(text):
            raise json.JSONDecodeError("Something follows the array", text, end)
    except (ValueError, RecursionError) as error:
        _raise_fault(error)


def _next_element(text: str, position: int) -> int:
    """Where the next element begins, or the closing bracket stands."""
    position = skip_space(text, position)
    if text.startswith("]", position):
        return position
    if not text.startswith(",", position):
        raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
    position = skip_space(text, position + 1)
    if text.startswith("]", position):
        raise json.JSONDecodeError("Expecting value after ','", text, position)
    return position


def _raise_fault(error: Exception) -> NoReturn:
    # `from None`: the decoder's own exception carries the whole text.
    if isinstance(error, json.JSONDecodeError):
        place = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        raise RowFault(f"broken JSON at {place}: {error.msg}.") from None
    if isinstance(error, RecursionError):
        raise RowFault("broken JSON: nested too deeply.") from None
    raise RowFault("broken JSON: a number has too many digits.") from None


def skip_space(text: str, start: int) -> int:
    """The position of the first character from `start` on that is not JSON white space."""
    while start < len(text) and text[start] in " \t\r\n":
        start += 1
    return start


def _may_hold_lone_surrogates(text: str) -> bool:
    return "\\ud" in text or "\\uD" in text


def object_in(value: object) -> dict[str, Any] | None:
    """The object that a value is, or that it holds as JSON text; None if there is none."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = parse(value)
        except RowFault:
            return None
    return value if isinstance(value, dict) else None


def mended(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same value with every lone half of a surrogate pair (a cut emoji) replaced by U+FFFD.

    JSON can spell such a half as an escape, but no file can hold it again.
    """
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(key): mended(item) for key, item in value.items()}
    return value
