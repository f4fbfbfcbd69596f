"""Foreign text inside a prompt: quoted as data, in a fence that its content cannot close.

The fence carries a mark computed from the content and chosen so that it does not stand in it. Whoever writes a document
cannot know the mark, and no text can hold the mark made from itself. Control tokens of chat templates are broken up, so
that a local model does not take them for the end of a turn.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

_TOKENS = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<\uff5c[^\uff5c<>\n]{1,60}\uff5c>"
    r"|(?m:^[ \t]*(?:Human|Assistant|System):)",
    re.IGNORECASE,
)
_INVISIBLE = re.compile("[\u200b\u200c\u2060\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


@lru_cache(maxsize=4096)
def defanged(text: str) -> str:
    """The text without control tokens of chat templates, invisible characters and direction marks."""
    return _TOKENS.sub(lambda token: _opened(token[0]), _INVISIBLE.sub("", text).replace("\x00", ""))


def _opened(token: str) -> str:
    """A space behind the first character, or before the colon, keeps it readable and makes it no token."""
    return f"{token[:-1]} :" if token.endswith(":") else f"{token[0]} {token[1:]}"


@lru_cache(maxsize=4096)
def fenced(kind: str, text: str) -> str:
    """Foreign text in its fence.

    Args:
        kind: What it is, one word: `DOCUMENT`, `EXAMPLE`, ...
        text: The content, defanged here.
    """
    text = defanged(text)
    mark, round_ = "", 0
    while not mark or mark in text:
        mark = hashlib.sha256(f"{kind}\n{round_}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:10]
        round_ += 1
    return f"<<<{kind} {mark}\n{text}\n{kind} {mark}>>>"
