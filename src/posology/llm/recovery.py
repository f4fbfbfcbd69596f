"""Recovery of JSON from what a chat model wrote, without inventing or losing a letter of it.

Ways, from strict to bold, until one gives a value that satisfies the schema: as it stands; as a Python literal; with
typical slips mended; by the package json-repair. A value that was not read strictly must pass a guard:

1. its letters and digits are those of the reply, in the same order, so nothing was dropped, doubled or made up;
2. the reply holds as many brackets of each kind as the value needs, so none was added at the end;
3. a text at its end is closed by a quote before the last bracket.

The last two keep truncated replies out: a reply that was cut lacks its closing brackets, and any tool that repairs it
must write them itself. A reply whose model forgot the last bracket looks the same, and is refused as well.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from posology.conversations.jsontext import mended
from posology.llm.schema import Schema, problem

Failure = Literal["no_json", "truncated", "broken", "schema"]

_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_OPENING = re.compile(r"\{(?=\s*[\"'“”\u2018\u2019„«\w}/#*+-])|\[(?=\s*[\"'“”\u2018\u2019„«\w{\[\]/#*-])")
_CLOSER = {"{": "}", "[": "]"}
_STRUCTURE = "{}[]"
_CLOSING = " ,;}]\t\r\n"
_CLOSED = re.compile(r"(?<!\\)[\"'“”\u2018\u2019«»`][\s,;}\]]*$")
_MOST_NESTING = 50


class Unrecoverable(Exception):
    """A reply holds no value that satisfies the schema.

    Args:
        failure: `no_json` (nothing that looks like it), `truncated` (it never closes), `broken` (cannot be read without
            loss) or `schema` (well-formed, but not what was asked for).
        detail: One sentence, without any of the reply's text.
    """

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail)
        self.failure: Failure = failure
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Recovered:
    """A value out of a reply.

    Attributes:
        value: What the schema asked for.
        way: How it was read: `strict`, `lenient`, `literal`, `mended` or `repaired`.
    """

    value: Any
    way: str


def recover(text: str, schema: Schema) -> Recovered:
    """The JSON value in a reply.

    Around it, thoughts in `<think>` tags, code fences and prose are allowed. A bare list is taken where the schema
    wants an object with one list in it, and JSON text inside a JSON text is unwrapped.

    Args:
        text: The reply.
        schema: What the value must satisfy; see `posology.llm.schema`.

    Raises:
        Unrecoverable: With the reason.
    """
    text = text.lstrip("\ufeff").strip()
    if (value := _as_it_stands(text, schema)) is not None:
        return Recovered(value, "strict")
    text = _THOUGHTS.sub(" ", text).strip()
    unwrapped = _unwrapped(text)
    found: list[Unrecoverable] = []
    for segment in _segments(unwrapped, found):
        try:
            return _read(segment, schema)
        except Unrecoverable as error:
            found.append(error)
    if not found:
        raise Unrecoverable("no_json", "There is no JSON in the reply.")
    # A truncated reply is called that, whatever else is found in it.
    raise next((error for error in found if error.failure == "truncated"), found[0])


def _as_it_stands(text: str, schema: Schema) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a reply that is right as it is, as nearly all are; None for all others."""
    try:
        value = _strict(text)
    except (ValueError, RecursionError):
        return None
    if problem(value, schema) is not None:
        return None
    return mended(value) if "\\u" in text else value


def _unwrapped(text: str) -> str:
    """The text that a reply holds as one JSON string, or the reply itself."""
    if text.startswith('"') and text.endswith('"'):
        try:
            inner = json.loads(text, strict=False)
        except ValueError:
            return text
        if isinstance(inner, str) and _OPENING.search(inner):
            return inner.strip()
    return text


def _segments(text: str, found: list[Unrecoverable]) -> Iterator[str]:
    """Parts of the reply that may be the value: from an opening bracket to the one that closes it, or to the last.

    The value of a reply is its first one; after one that never closes there is nothing to look for, since what stands
    inside it would be a part passed off for the whole.
    """
    start = 0
    while opening := _OPENING.search(text, start):
        begin = opening.start()
        last = text.rfind(_CLOSER[text[begin]], begin)
        end = _end(text, begin)
        if last < 0:
            found.append(Unrecoverable("truncated", "The JSON in the reply never closes."))
            return
        yield text[begin : last + 1]
        if end is not None and end != last:
            yield text[begin : end + 1]
        if end is None:
            return
        start = end + 1


def _end(text: str, begin: int) -> int | None:
    """Where the bracket at `begin` closes, if strings are quoted as they should be; None if it does not."""
    depth, quoted, place = 0, False, begin
    while place < len(text):
        letter = text[place]
        if quoted:
            place += letter == "\\"
            quoted = letter != '"'
        elif letter == '"':
            quoted = True
        elif letter in "{[":
            depth += 1
        elif letter in "}]":
            depth -= 1
            if not depth:
                return place
        place += 1
    return None


def _read(segment: str, schema: Schema) -> Recovered:
    if _depth(segment) > _MOST_NESTING:
        raise Unrecoverable("broken", "The JSON in the reply is nested too deeply.")
    failure = Unrecoverable("broken", "The JSON in the reply cannot be read without loss.")
    for way, read in _WAYS:
        try:
            value = read(segment)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, IndexError):
            continue
        if way != "strict" and (loss := _loss(segment, value)):
            failure = failure if failure.failure == "schema" else loss
            continue
        value = _wrapped(mended(value), schema)
        wrong = problem(value, schema)
        if wrong is None:
            return Recovered(value, way)
        failure = Unrecoverable("schema", f"{wrong[0].upper()}{wrong[1:]}.")
    raise failure


def _depth(segment: str) -> int:
    deepest = depth = 0
    for letter in segment:
        depth += (letter in "{[") - (letter in "}]")
        deepest = max(deepest, depth)
    return deepest


def _wrapped(value: Any, schema: Schema) -> Any:  # noqa: ANN401 - any JSON value
    """A bare list where an object with exactly one list is wanted becomes that object."""
    wanted = schema.get("required", ())
    if isinstance(value, list) and schema.get("type") == "object" and len(wanted) == 1:
        (key,) = wanted
        if schema["properties"][key].get("type") == "array":
            return {key: value}
    return value


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: of two equal ones, one would be lost."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _no_constant(_: str) -> None:
    raise ValueError("NaN is no JSON")


def _strict(segment: str) -> Any:  # noqa: ANN401
    return json.loads(segment, object_pairs_hook=_no_doubles, parse_constant=_no_constant)


def _lenient(segment: str) -> Any:  # noqa: ANN401
    """JSON with line breaks and tabs inside its strings."""
    return json.loads(segment, strict=False, object_pairs_hook=_no_doubles, parse_constant=_no_constant)


def _literal(segment: str) -> Any:  # noqa: ANN401
    """A Python literal; tuples and sets are no part of it."""
    value = ast.literal_eval(segment)
    return json.loads(json.dumps(value, allow_nan=False))


_SMART = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})
# A text in double quotes is passed over whole: what looks like a comment in it is none. Nor is what holds a quote.
_COMMENT = re.compile(r"(\"(?:\\.|[^\"\\])*\")|(?m:(?<=[,{}\[\]\s])(?:(?://|#)[^\n\"']*$|/\*[^\"']*?\*/))", re.DOTALL)
_TRAILING = re.compile(r",(\s*[}\]])")
_MISSING = re.compile(r"(?<=[}\]\"])(\s*\n\s*)(?=[{\"\[])")
_STRAY = re.compile(r"\\(?![\"\\/bfnrtu])")


def _mended(segment: str) -> Any:  # noqa: ANN401
    """Slips whose mending is certain: comments, trailing and missing commas, stray backslashes."""
    segment = _TRAILING.sub(r"\1", _MISSING.sub(r",\1", _COMMENT.sub(r"\1", segment)))
    return _lenient(_STRAY.sub("", segment))


def _smart(segment: str) -> Any:  # noqa: ANN401
    """Typographic quotes in place of plain ones."""
    return _mended(segment.translate(_SMART))


# A quote ends a text if what follows can follow a text: a colon, a bracket that closes, a comma before the next value.
_ENDS = re.compile(r"\s*(?:[:}\]]|,\s*(?:[\"'{\[\]}\d-]|true|false|null|True|False|None|\w+\s*:)|$)")


def _requoted(segment: str) -> Any:  # noqa: ANN401
    """Texts in single quotes, and quotes and apostrophes inside texts that should have been escaped."""
    parts: list[str] = []
    quote, place = "", 0
    while place < len(segment):
        letter = segment[place]
        if quote and letter == "\\" and place + 1 < len(segment):
            escaped = segment[place + 1]
            parts.append("'" if escaped == "'" else letter + escaped)
            place += 1
        elif not quote and letter in "\"'":
            quote = letter
            parts.append('"')
        elif letter == quote and _ENDS.match(segment, place + 1):
            quote = ""
            parts.append('"')
        else:
            parts.append('\\"' if quote and letter == '"' else letter)
        place += 1
    return _mended("".join(parts))


def _repaired(segment: str) -> Any:  # noqa: ANN401
    import json_repair

    return json_repair.loads(segment, skip_json_loads=True)


def _repaired_smart(segment: str) -> Any:  # noqa: ANN401
    return _repaired(_COMMENT.sub(r"\1", segment).translate(_SMART))


_WAYS: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("strict", _strict),
    ("lenient", _lenient),
    ("literal", _literal),
    ("mended", _mended),
    ("mended", _requoted),
    ("mended", _smart),
    ("repaired", _repaired),
    ("repaired", _repaired_smart),
)

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_WORDS_OF_VALUES = {"True": "true", "False": "false", "None": "null"}
_VALUE_WORD = re.compile(r"\b(?:True|False|None)\b")


def _loss(segment: str, value: Any) -> Unrecoverable | None:  # noqa: ANN401 - any JSON value
    """Why a value is not all that the segment says; None if it is."""
    plain = _COMMENT.sub(r"\1", segment)
    whole = json.dumps(value, ensure_ascii=False)
    here, there = Counter(plain), Counter(_unescaped(whole))
    missing = [bracket for bracket in _STRUCTURE if here[bracket] < there[bracket]]
    if missing:
        return Unrecoverable("truncated", f"The reply lacks a {' and a '.join(missing)}.")
    if any(here[bracket] != there[bracket] for bracket in _STRUCTURE):
        return Unrecoverable("broken", "Brackets of the reply would be lost.")
    if whole.rstrip(_CLOSING).endswith('"') and not _CLOSED.search(plain):
        return Unrecoverable("truncated", "The last text of the reply is not closed.")
    if _letters(plain) != _letters(whole):
        return Unrecoverable("broken", "Text of the reply would be lost.")
    return None


def _letters(text: str) -> str:
    text = _VALUE_WORD.sub(lambda word: _WORDS_OF_VALUES[word[0]], _unescaped(text))
    return "".join(filter(str.isalnum, text))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_meant, text)


def _meant(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    if code:
        return chr(int(code, 16))
    return " " if escape[3] in "nrtbf" else escape[3]
