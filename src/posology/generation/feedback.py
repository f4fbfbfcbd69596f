"""What was written already, fed back as "not these", in bounded size.

Models asked for the same thing again and again open with the same words and call everybody Sarah. The last few openings
of a topic and the last few names of all topics go into the next prompts.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from posology.records import Conversation

_OPENING_WORDS = 8
_OPENING_LETTERS = 60
_NAME = r"([A-Z][a-z]{2,15}(?: [A-Z][a-z]{1,15})?)(?=\s*(?:[,.!\n]|$))"
_NAMES = re.compile(
    r"(?:\b(?:[Mm]y name is|I am|I'm|this is|from|M(?:r|rs|s)\.?)"
    rf"|(?:^|\n)(?:Hi|Hello|Dear|Thanks|Thank you|Regards|Best|Cheers),?)\s+{_NAME}"
)
# Without the cue before it: what few messages hold, and is found several times as fast.
_MAYBE_NAME = re.compile(_NAME)


@dataclass(frozen=True, slots=True)
class NotThese:
    """What a prompt asks to avoid.

    Attributes:
        openings: First words of recent conversations of the topic, newest last.
        names: Names of people in recent conversations, newest last.
        mistakes: Why earlier attempts at the same row were rejected, in words.
    """

    openings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()


class Feedback:
    """Remembers openings by topic and names, the newest of each.

    Args:
        max_openings: Openings a topic.
        max_names: Names in all.
    """

    def __init__(self, *, max_openings: int = 6, max_names: int = 12) -> None:
        self._max_openings = max_openings
        self._openings: dict[str, deque[str]] = {}
        self._names: deque[str] = deque(maxlen=max_names)

    def add(self, conversation: Conversation) -> None:
        """Remembers an accepted conversation; it must have a topic."""
        first = next((m.content for m in conversation.messages if m.role == "user"), "")
        words = opening_words(first)
        known = self._openings.setdefault(conversation.label, deque(maxlen=self._max_openings))
        if words and words not in known:
            known.append(words)
        for message in conversation.messages:
            for name in _NAMES.findall(message.content) if _MAYBE_NAME.search(message.content) else ():
                if name not in self._names:
                    self._names.append(name)

    def not_these(self, topic: str, mistakes: tuple[str, ...] = (), openings: tuple[str, ...] = ()) -> NotThese:
        """What a new prompt should avoid.

        Args:
            topic: Of the new conversation.
            mistakes: Of earlier attempts at the same row.
            openings: Of these attempts.
        """
        recent = (*self._openings.get(topic, ()), *openings)[-self._max_openings :]
        return NotThese(tuple(dict.fromkeys(recent)), tuple(self._names), tuple(dict.fromkeys(mistakes)))


def opening_words(text: str) -> str:
    """The first words of a message, at most 8 and 60 letters of them."""
    return " ".join(text.split()[:_OPENING_WORDS])[:_OPENING_LETTERS].strip()
