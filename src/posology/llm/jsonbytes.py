"""JSON to and from bytes, several times a call: by pydantic's Rust core, in a third of the standard library's time.

What the core does not take (deep nesting, for one) is left to the standard library.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json, to_json


def encoded(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Compact UTF-8. Lone surrogates, which UTF-8 does not have, become question marks.

    Raises:
        TypeError: It is no JSON value.
        ValueError: Likewise.
    """
    try:
        return to_json(value, inf_nan_mode="constants")
    except ValueError:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def decoded(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deeply.
    """
    try:
        return from_json(body, cache_strings="keys")
    except ValueError:
        return json.loads(body)
