"""Repetition: a text that goes round in circles, and two who cannot stop thanking each other.

    repetition       words that stand in a run of four which the same conversation has said before, as a share
    politeness_loop  the longest run of turns that are nothing but thanks, welcome and goodbye

Small models loop when sampling runs dry (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020; the
share of repeated n-grams is their measure), and two models that play customer and agent rarely know how to end. People
repeat themselves too: how much is usual is measured on real conversations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from posology.matching.normalise import normalise
from posology.records import CheckState, Conversation, Finding
from posology.verification.habits import highest_usual

WINDOW = 4
USUAL_SHARE = 0.25  # of a conversation's words, where real data is too thin to measure
USUAL_RUN = 3  # thanks, welcome, bye
LONGEST = 200  # characters of a turn that says nothing but thanks
_COURTESIES = (
    r"thank(?:s| you)?|thx|ty|cheers|much appreciated|i appreciate (?:it|that|your help)",
    r"you(?:'| a)?re (?:most |very )?welcome|(?:most |very )?welcome|no (?:problem|worries)|(?:my )?pleasure|any ?time",
    r"glad (?:i could|to) help|happy to help|(?:have|enjoy) (?:a|an|the|your)(?: rest of)?(?: \w+){1,4}",
    r"you too|same to you|take care|(?:good)?bye(?: bye)?|see you(?: soon| later)?|all the best",
    r"great|perfect|lovely|wonderful|awesome|ok(?:ay)?|sure|of course|so much|very much|a lot|again",
    r"for (?:your|the|all your|all the) (?:help|time|support|patience|assistance|kind words|kindness|quick reply)",
    r"(?:is there )?anything else(?: i can (?:help|assist)(?: you)? with)?(?: today)?|(?:no,? )?that(?:'| i)?s all",
    r"(?:please )?(?:don't hesitate|feel free) to (?:contact|reach out to|ask) us(?: \w+){0,4}|and|too|to|you",
)
_POLITE = re.compile(rf"(?:\b(?:{'|'.join(_COURTESIES)})\b|[^\w])+", re.IGNORECASE)
_KERNEL = re.compile(
    r"thank|thx|cheers|welcome|appreciate|pleasure|bye|take care|have a|enjoy|you too|happy to help", re.I
)


def repeated_share(conversation: Conversation) -> float:
    """The share of words, in [0, 1], that stand in a run of `WINDOW` words which was said before."""
    words: list[str] = []
    breaks: set[int] = set()
    for message in conversation.messages:
        words += normalise(message.content).split()
        breaks.add(len(words))
    seen: set[tuple[str, ...]] = set()
    repeated = bytearray(len(words))
    for start in range(len(words) - WINDOW + 1):
        if any(cut in breaks for cut in range(start + 1, start + WINDOW)):
            continue
        run = tuple(words[start : start + WINDOW])
        if run in seen:
            repeated[start : start + WINDOW] = b"\x01" * WINDOW
        seen.add(run)
    return sum(repeated) / len(words) if words else 0.0


def polite_run(conversation: Conversation) -> int:
    """The longest run of turns that hold nothing but thanks, welcome and goodbye."""
    longest = run = 0
    for message in conversation.messages:
        text = message.content.strip()
        polite = 0 < len(text) <= LONGEST and _KERNEL.search(text) and _POLITE.fullmatch(text)
        run = run + 1 if polite else 0
        longest = max(longest, run)
    return longest


class Repetition:
    """The check `repetition`.

    Args:
        real: Real training conversations, which say what is usual.
    """

    def __init__(self, real: Sequence[Conversation]) -> None:
        self.threshold = highest_usual([repeated_share(c) for c in real], at_least=USUAL_SHARE)

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate; the score is the share of repeated words, lower is better."""
        return [self._finding(repeated_share(candidate)) for candidate in candidates]

    def _finding(self, share: float) -> Finding:
        state: CheckState = "fail" if share > self.threshold else "pass"
        return Finding(
            "repetition", state, round(share, 4), self.threshold, f"{share:.0%} of its words were said before"
        )


class PolitenessLoop:
    """The check `politeness_loop`.

    Args:
        real: Real training conversations, which say what is usual.
    """

    def __init__(self, real: Sequence[Conversation]) -> None:
        several = [float(polite_run(c)) for c in real if len(c.messages) > 1]
        self.threshold = highest_usual(several, at_least=float(USUAL_RUN))

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate; the score is the longest run of polite turns, lower is better."""
        return [self._finding(polite_run(candidate)) for candidate in candidates]

    def _finding(self, run: int) -> Finding:
        state: CheckState = "fail" if run > self.threshold else "pass"
        return Finding(
            "politeness_loop", state, float(run), self.threshold, f"{run} turns of nothing but courtesy in a row"
        )
