"""Defects that show in the text of a conversation alone, whoever looks for them: its generator or its verifier.

Each detector takes the turns, and says what is wrong in one sentence without any of the text, or None:

    roles          customer and agent take turns, the customer first; no other roles
    empty_turn     a turn without text
    repeated_turn  a turn that was said before in the conversation
    placeholder    `[Name]`, `{{order}}`, `<date>`, `XXXX` left in
    disclaimer     the assistant speaks of being a model, or declines
    meta_talk      remarks about the text itself: "Here is the conversation"
    markup         headings, bold type, code, HTML, list marks where people write none
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from posology.matching.normalise import normalise
from posology.records import Message

Detector = Callable[[Sequence[Message]], str | None]


def roles(messages: Sequence[Message]) -> str | None:
    """Whether customer and agent do not take turns."""
    expected = ("user", "assistant")
    for place, message in enumerate(messages):
        if message.role != expected[place % 2]:
            known = message.role if message.role in (*expected, "system", "tool") else "unknown"
            return f"Turn {place + 1} has the role {known}, not {expected[place % 2]}."
    return None if messages else "There are no turns."


def empty_turn(messages: Sequence[Message]) -> str | None:
    """Whether a turn has no text."""
    for place, message in enumerate(messages, start=1):
        if not any(map(str.isprintable, message.content.strip())) or not message.content.strip():
            return f"Turn {place} is empty."
    return None


def repeated_turn(messages: Sequence[Message]) -> str | None:
    """Whether a turn of more than two words was said before."""
    seen: dict[str, int] = {}
    for place, message in enumerate(messages, start=1):
        text = normalise(message.content)
        if text in seen and len(text.split()) > 2:
            return f"Turn {place} repeats turn {seen[text]}."
        seen.setdefault(text, place)
    return None


_PLACEHOLDER = re.compile(
    r"\{\{.*?\}\}|\{%.*?%\}|\$\{\w+\}"
    r"|\[(?!\d+\])(?:(?:your|my|the|insert|customer|agent|company|order|first|last|full|user|phone|account|product|"
    r"date)\b"
    r"[^\]\n]{0,40}|[A-Z][\w'/ #-]{1,40}|[A-Z_]{3,})\]"
    r"|\{(?:[a-z]+(?:_[a-z]+)*|[A-Z_]{2,})\}"
    r"|<(?:your|insert|customer|agent|company|order|name|date|number|email|phone|product)[\w -]*>"
    r"|\bX{4,}\b|#{4,}|_{4,}|\b(?:INSERT|YOUR)_\w+|\b(?:lorem ipsum|TODO|TBD)\b",
)
_DISCLAIMER = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model|virtual assistant model|llm)\b"
    r"|\bi(?:'m| am)(?: just| only)? an? (?:ai|artificial intelligence|(?:large )?language model|llm)\b"
    r"|\bmy (?:training data|knowledge cutoff|programming)\b|\bi was trained (?:by|on)\b"
    r"|\bi(?:'m| am) sorry,? but i (?:can(?:no|')t|am unable to|am not able to) (?:assist|help|fulfil+|comply|"
    r"generate|create|write)"
    r"|\bi (?:can(?:no|')t|am unable to) (?:fulfil+|comply with) (?:this|that|your|such)\b",
    re.IGNORECASE,
)
_META = re.compile(
    r"\b(?:here(?:'s| is)|below is|sure,? here(?:'s| is)) (?:a|an|the|one|your)\b[^.\n]{0,40}\b(?:conversation|"
    r"dialogue|transcript|"
    r"customer message|support message|first message|opening message)\b"
    r"|\b(?:this|the) (?:conversation|dialogue|message|text|transcript) (?:was|is|has been) (?:generated|synthetic|"
    r"fictional|"
    r"fictitious|made up|simulated)\b"
    r"|\b(?:synthetic|simulated|fictional|generated) (?:conversation|dialogue|customer|data)\b|\btraining data\b"
    r"|\b(?:end|start) of (?:the )?(?:conversation|dialogue|transcript)\b|\b(?:customer|agent)'s (?:persona|mood)\b"
    r"|\((?:word count|\d+ words|note:|mood|persona)\b|\b(?:the|this) persona\b"
    r"|^\s*(?:customer|agent|user|assistant)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_MARKUP = re.compile(
    r"^#{1,6} |\*\*[^*\n]+\*\*|(?<!\w)__[^_\n]+__(?!\w)|```|`[^`\n]+`|^\s*\|.*\|\s*$|\[[^\]\n]+\]\(https?:"
    r"|</?(?:b|i|p|br|div|span|a|ul|ol|li|strong|em|h[1-6]|html|body|table|tr|td|script|img|code|pre)\b[^>\n]*>"
    r"|&(?:nbsp|quot|#\d+);|\A\s*[*•] |^\s*[-*_]{3,}\s*$",
    re.IGNORECASE | re.MULTILINE,
)

_DISCLAIMER_NEEDLES = (
    *(" ai", "artificial", "language model", "virtual assistant model", " llm", "my training data"),
    *("my knowledge cutoff", "my programming", "i was trained", "i cannot", "i can't", "i am unable", "i am not able"),
)
_PLACEHOLDER_NEEDLES = (*"[{<$", "xxxx", "____", "####", "insert_", "your_", "lorem", "todo", "tbd")
_MARKUP_NEEDLES = tuple("#*_`|[<&\u2022-")
_META_NEEDLES = (
    *("conversation", "dialogue", "transcript", "message", "text", "synthetic", "simulated", "fictional", "generated"),
    *("training data", "persona", "mood", "word", "(note", "customer", "agent", "user", "assistant"),
)


def _pattern(pattern: re.Pattern[str], detail: str, needles: tuple[str, ...] = ("",)) -> Detector:
    """A detector that no turn matches a pattern.

    Args:
        pattern: What must not be found.
        detail: What it means if it is.
        needles: One of these stands in everything that the pattern matches, in lower case; looking for them first
            spares most of the time.
    """

    def check(messages: Sequence[Message]) -> str | None:
        for place, message in enumerate(messages, start=1):
            folded = message.content.lower()
            if any(needle in folded for needle in needles) and pattern.search(message.content):
                return f"Turn {place} {detail}."
        return None

    return check


placeholder = _pattern(_PLACEHOLDER, "holds a placeholder", _PLACEHOLDER_NEEDLES)
disclaimer = _pattern(_DISCLAIMER, "speaks as a language model or declines", _DISCLAIMER_NEEDLES)
meta_talk = _pattern(_META, "speaks about the text itself", _META_NEEDLES)
markup = _pattern(_MARKUP, "holds markup", _MARKUP_NEEDLES)
