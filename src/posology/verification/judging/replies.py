"""From the reply of a judge to its scores, or to the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from posology.llm.contract import ModelCallError, Reply
from posology.llm.recovery import Unrecoverable, recover
from posology.records import EMPTY
from posology.verification.judging.rubric import SCALE

State = Literal["scored", "answered", "refused", "malformed", "truncated", "too_long", "failed", "not_asked"]
AGAIN: frozenset[State] = frozenset({"malformed", "truncated"})
"""What another attempt may put right."""
LONGEST_REASON = 300
_ONE = {"type": "object", "properties": {"reason": {"type": "string"}}, "required": ["score"]}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one judge says of one candidate. Without scores, `state` says why; that is not a score of 0.

    Attributes:
        id: The candidate.
        judge: The judge's name.
        state: `scored`, or what went wrong.
        asked: The criteria that applied; one without a score is unscored.
        scores: From 1 to 5, by criterion.
        reasons: The judge's own words, a line each; they may quote the conversation.
        detail: What went wrong, one sentence.
        attempts: How often the judge was asked.
    """

    id: str
    judge: str
    state: State
    asked: tuple[str, ...]
    scores: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    reasons: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    detail: str = ""
    attempts: int = 1

    def to_json(self) -> dict[str, Any]:
        """A row of `judgements.jsonl`."""
        # Field by field: `asdict` cannot copy the read-only mapping of a judgement without scores.
        row = {own.name: getattr(self, own.name) for own in fields(self)}
        return row | {"scores": dict(self.scores), "reasons": dict(self.reasons), "asked": list(self.asked)}


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a reply says nothing."""

    state: State
    detail: str


def read_object(answer: Reply | ModelCallError, schema: Mapping[str, Any]) -> dict[str, Any] | Unread:
    """The JSON object in a reply, recovered where that loses nothing; a cut reply is never read.

    Args:
        answer: The reply, or why there is none.
        schema: What the object must have at least.
    """
    if isinstance(answer, ModelCallError):
        states: dict[str, State] = {"refused": "refused", "context_too_long": "too_long", "malformed": "malformed"}
        return Unread(states.get(answer.kind, "failed"), answer.message)
    if answer.finish == "length":
        return Unread("truncated", "The reply was cut at the limit of tokens.")
    if answer.finish == "refused":
        return Unread("refused", "The provider or the model refused.")
    try:
        found: dict[str, Any] = recover(answer.text, schema).value
    except Unrecoverable as error:
        return Unread("truncated" if error.failure == "truncated" else "malformed", error.detail)
    return found


def read_judgement(
    answer: Reply | ModelCallError, asked: Sequence[str], *, id: str, judge: str, attempts: int = 1
) -> Judgement:
    """The scores in a reply.

    JSON is recovered where that loses nothing (`posology.llm.recovery`). A reply with some of the criteria counts for
    those; a score that is no whole number on the scale is none. A cut reply is never read.

    Args:
        answer: The reply, or why there is none.
        asked: The criteria that were asked.
        id: The candidate.
        judge: The judge's name.
        attempts: How often it was asked.
    """
    state, detail, scores, reasons = _read(answer, asked)
    return Judgement(id, judge, state, tuple(asked), scores, reasons, detail, attempts)


def _read(
    answer: Reply | ModelCallError, asked: Sequence[str]
) -> tuple[State, str, Mapping[str, int], Mapping[str, str]]:
    schema = {"type": "object", "properties": dict.fromkeys(asked, _ONE)}
    found = read_object(answer, schema)
    if isinstance(found, Unread):
        return found.state, found.detail, EMPTY, EMPTY
    scores = {name: score for name in asked if (score := _score(found.get(name, {}).get("score"))) is not None}
    reasons = {name: one_line(found[name].get("reason", "")) for name in scores}
    if not scores:
        return "malformed", "The reply holds no score on the scale.", EMPTY, EMPTY
    missing = [name for name in asked if name not in scores]
    return "scored", f"No score on the scale for {', '.join(missing)}." if missing else "", scores, reasons


def _score(value: object) -> int | None:
    """A whole number on the scale, also as text: `4`, `4.0`, `"4"`, `"4/5"`."""
    if isinstance(value, str):
        value = value.strip().removesuffix(f"/{SCALE[1]}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return int(number) if number.is_integer() and SCALE[0] <= number <= SCALE[1] else None


def one_line(text: str) -> str:
    """A reason, without line breaks, at a length that a table holds."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]} …"
