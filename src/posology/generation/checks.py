"""Format checks: each has a name, looks at one thing, and says what is wrong without any of the text.

    roles            customer and agent take turns, the customer first; no other roles
    turns            about as many turns as were asked for, within limits
    length           no turn beyond the limits, the first message about as long as was asked for
    empty_turn       a turn without text
    repeated_turn    a turn that was said before in the conversation
    language         another language than was asked for
    placeholder      `[Name]`, `{{order}}`, `<date>`, `XXXX` left in
    disclaimer       the assistant speaks of being a model, or declines
    meta_talk        remarks about the text itself: "Here is the conversation"
    markup           headings, bold type, code, HTML, list marks where people write none
    copied_exact     a real example word for word
    copied_near      a real example with small changes (`posology.matching.near`)
    obeyed_injection an order in the quoted material was obeyed

Replies that do not get this far are named `truncated`, `refused`, `no_json`, `broken`, `schema` or, if the call failed,
`call_...`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from posology.conversations import defects
from posology.generation.injection import obeyed
from posology.generation.language import NAMES, turns_differ
from posology.generation.plan import PlanRow
from posology.matching.near import NearRule
from posology.matching.normalise import normalise
from posology.matching.shingles import shingles
from posology.records import Message


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is accepted.

    Attributes:
        language: Code of the wanted language (`posology.generation.language.NAMES`); None accepts any.
        max_turns: Most turns, whatever was asked for.
        turn_letters: Most characters of a turn.
        message_words: Least and most words of the first message, as shares of what was asked for; a slack of 12 words
            is added, since a message of 3 words more or less is no other message.
        near: From where on two texts are copies.
        copied_words: Turns with fewer words may equal a real one by chance ("yes please"); a first message may not.
    """

    language: str | None = None
    max_turns: int = 20
    turn_letters: int = 4000
    message_words: tuple[float, float] = (0.25, 4.0)
    near: NearRule = field(default_factory=NearRule)
    copied_words: int = 5

    def __post_init__(self) -> None:
        if self.language is not None and self.language not in NAMES:
            raise ValueError(f"unknown language {self.language!r}; known are {', '.join(NAMES)}")


@dataclass(frozen=True)  # no slots, for the sake of what several checks need and is made once
class Subject:
    """What a check looks at.

    Attributes:
        messages: The turns of the draft.
        row: What was wanted.
        quoted: The foreign texts of the prompt.
        limits: The bounds.
        real: Normalised first messages of all real training conversations.
    """

    messages: tuple[Message, ...]
    row: PlanRow
    quoted: tuple[str, ...]
    limits: Limits
    real: frozenset[str] = frozenset()

    @cached_property
    def opening(self) -> str:
        """The first customer message, empty if there is none."""
        return next((m.content for m in self.messages if m.role == "user"), "")

    @cached_property
    def text(self) -> str:
        """All turns, one a line."""
        return "\n".join(message.content for message in self.messages)

    @cached_property
    def normalised(self) -> tuple[str, ...]:
        """Each turn in the form in which two texts count as the same."""
        return tuple(normalise(message.content) for message in self.messages)

    @cached_property
    def copies(self) -> tuple[str, ...]:
        """What might be copied, normalised: the first message, longer ones after it, and all of them together."""
        texts = [text for text, message in zip(self.normalised, self.messages, strict=True) if message.role == "user"]
        longer = [text for text in texts[1:] if len(text.split()) >= self.limits.copied_words]
        return (*texts[:1], *longer, *([" ".join(texts)] if len(texts) > 1 else []))


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that failed.

    Attributes:
        check: Its name.
        detail: One sentence.
    """

    check: str
    detail: str


def failures(subject: Subject) -> list[Failure]:
    """Every check that a draft fails, in the order of `CHECKS`."""
    found = ((name, check(subject)) for name, check in CHECKS.items())
    return [Failure(name, detail) for name, detail in found if detail]


def _turns(subject: Subject) -> str | None:
    n, asked = len(subject.messages), subject.row.turns
    slack = 0 if asked == 1 else max(2, asked // 2)
    if abs(n - asked) > slack or n > subject.limits.max_turns or (asked > 1 and n < 2):
        return f"It has {n} turns where {asked} were asked for."
    return None


def _length(subject: Subject) -> str | None:
    longest = max((len(message.content) for message in subject.messages), default=0)
    if longest > subject.limits.turn_letters:
        return f"A turn has {longest:,} characters."
    words, asked = len(subject.opening.split()), subject.row.words
    least, most = subject.limits.message_words
    if not least * asked - 12 <= words <= most * asked + 12:
        return f"The first message has {words} words where about {asked} were asked for."
    return None


def _language(subject: Subject) -> str | None:
    wanted = subject.limits.language
    other = wanted and turns_differ([message.content for message in subject.messages], wanted)
    return f"It is in {NAMES[other]}, not in {NAMES[wanted]}." if wanted and other else None


@lru_cache(maxsize=8192)
def _said(example: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """What the customer says in an example, normalised, with its shingles: each message, and all of them together."""
    lines = [line for line in example.split("\n") if not line.startswith("Agent: ")]
    texts = [normalise(line.removeprefix("Customer: ")) for line in lines]
    whole = [" ".join(texts)] if len(texts) > 1 else []
    return tuple((text, frozenset(shingles(text))) for text in (*texts, *whole))


def _copied_exact(subject: Subject) -> str | None:
    if not subject.real.isdisjoint(subject.copies[:1]):
        return "The first message stands in the real data."
    for example in subject.row.examples:
        if any(known in subject.copies for known, _ in _said(example.text)):
            return f"It copies the example {example.id}."
    return None


def _copied_near(subject: Subject) -> str | None:
    threshold = subject.limits.near.jaccard
    # All that the customer says, which comes last, holds every part of it: what is far from that is a copy of none.
    known = [
        (example.id, text, theirs)
        for example in subject.row.examples
        for text, theirs in _said(example.text)
        if subject.copies and _may_hold(subject.copies[-1], theirs, threshold)
    ]
    for text in subject.copies if known else ():
        own = shingles(text)
        for id, other, theirs in known:
            shared = len(own & theirs)
            score = shared / (len(own) + len(theirs) - shared)
            if score >= threshold and text != other:
                return f"It is nearly the example {id} (similarity {score:.2f}, from {threshold:.2f} on)."
    return None


def _may_hold(text: str, theirs: frozenset[str], threshold: float) -> bool:
    """Whether enough of some shingles stand in a text for a part of it to be as similar as the threshold.

    To look for a few of them takes a tenth of the time of cutting the text up.
    """
    padded, missing = f" {text} ", (1 - threshold) * len(theirs) + 1e-6
    for shingle in theirs:
        if shingle not in padded:
            missing -= 1
            if missing < 0:
                return False
    return True


def _of_turns(detector: defects.Detector) -> Callable[[Subject], str | None]:
    """A check of a draft's turns alone."""
    return lambda subject: detector(subject.messages)


def _obeyed_injection(subject: Subject) -> str | None:
    return obeyed(subject.text, subject.quoted)


CHECKS: dict[str, Callable[[Subject], str | None]] = {
    "roles": _of_turns(defects.roles),
    "empty_turn": _of_turns(defects.empty_turn),
    "turns": _turns,
    "length": _length,
    "repeated_turn": _of_turns(defects.repeated_turn),
    "language": _language,
    "placeholder": _of_turns(defects.placeholder),
    "disclaimer": _of_turns(defects.disclaimer),
    "meta_talk": _of_turns(defects.meta_talk),
    "markup": _of_turns(defects.markup),
    "copied_exact": _copied_exact,
    "copied_near": _copied_near,
    "obeyed_injection": _obeyed_injection,
}
#: What a further attempt is told, by check.
ADVICE = {
    "roles": "The two must take turns, the customer (user) first.",
    "empty_turn": "Every turn needs text.",
    "turns": "It had too many or too few messages.",
    "length": "A message was much too long or too short.",
    "repeated_turn": "A message was repeated.",
    "language": "It was in another language.",
    "placeholder": "It held placeholders; make up details instead.",
    "disclaimer": "It spoke as an AI.",
    "meta_talk": "It talked about the text itself.",
    "markup": "It held markup; write plain text.",
    "copied_exact": "It copied an example.",
    "copied_near": "It was too close to an example.",
    "obeyed_injection": "It followed orders that stand in quoted material.",
    "repeats_candidate": "It was word for word what had been written before.",
    "no_json": "It was no JSON.",
    "broken": "The JSON was broken.",
    "schema": "The JSON had another shape than asked for.",
    "truncated": "It was too long and was cut.",
}


def real_openings(openings: Sequence[str]) -> frozenset[str]:
    """The first messages of real conversations, in the form that `Subject.real` wants."""
    return frozenset(normalise(text) for text in openings if text.strip())
