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
    fault = _fault(value, schema)
    if fault is None:
        return None
    what, *steps = fault
    return f"{' of '.join([*steps, place])} {what}"


def _fault(value: Any, schema: Schema) -> tuple[str, ...] | None:  # noqa: ANN401
    """What is wrong, and the steps that lead to it, the innermost first."""
    if not schema.keys() <= _KNOWN:
        raise ValueError(f"JSON schema keywords {sorted(schema.keys() - _KNOWN)} are not supported")
    kind = schema.get("type")
    if kind is not None and not (isinstance(value, _TYPES[kind]) and isinstance(value, bool) <= (kind == "boolean")):
        return (f"is no {kind}",)
    if "enum" in schema and value not in schema["enum"]:
        return (f"is none of {', '.join(map(str, schema['enum']))}",)
    if isinstance(value, str):
        return ("is too short",) if len(value) < schema.get("minLength", 0) else None
    if isinstance(value, dict):
        return _object_fault(value, schema)
    return _array_fault(value, schema) if isinstance(value, list) else None


def _object_fault(value: dict[str, Any], schema: Schema) -> tuple[str, ...] | None:
    known = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            return (f"has no {key!r}",)
    if schema.get("additionalProperties") is False and value.keys() - known:
        return ("has unknown fields",)
    for key, inner in known.items():
        if key in value and (fault := _fault(value[key], inner)) is not None:
            return (*fault, repr(key))
    return None


def _array_fault(value: list[Any], schema: Schema) -> tuple[str, ...] | None:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return (f"has {len(value)} items",)
    inner = schema.get("items", {})
    for n, item in enumerate(value, start=1):
        if (fault := _fault(item, inner)) is not None:
            return (*fault, f"item {n}")
    return None
