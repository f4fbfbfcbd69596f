"""The small part of JSON Schema that replies are held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
_KNOWN = frozenset(
    "type properties required items enum minItems maxItems minLength additionalProperties description title".split()
)


def problem(value: Any, schema: Schema, place: str = "the reply") -> str | None:  # noqa: ANN401 - any JSON value
    """What is wrong with a value, without any of its text; None if nothing.

    Known are `type`, `properties`, `required`, `items`, `enum`, `minItems`, `maxItems`, `minLength` and
    `additionalProperties` (true or false).

    Raises:
        ValueError: The schema uses another keyword, which would otherwise be ignored in silence.
    """
    if unknown := schema.keys() - _KNOWN:
        raise ValueError(f"JSON schema keywords {sorted(unknown)} are not supported")
    kind = schema.get("type")
    if kind is not None and not (isinstance(value, _TYPES[kind]) and isinstance(value, bool) <= (kind == "boolean")):
        return f"{place} is no {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{place} is none of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        return f"{place} is too short"
    if isinstance(value, dict):
        return _object_problem(value, schema, place)
    return _array_problem(value, schema, place) if isinstance(value, list) else None


def _object_problem(value: dict[str, Any], schema: Schema, place: str) -> str | None:
    known = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            return f"{place} has no {key!r}"
    if schema.get("additionalProperties") is False and value.keys() - known:
        return f"{place} has unknown fields"
    inner = (problem(value[key], known[key], f"{key!r} of {place}") for key in known if key in value)
    return next((found for found in inner if found), None)


def _array_problem(value: list[Any], schema: Schema, place: str) -> str | None:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return f"{place} has {len(value)} items"
    inner = (problem(item, schema.get("items", {}), f"item {n} of {place}") for n, item in enumerate(value, start=1))
    return next((found for found in inner if found), None)
