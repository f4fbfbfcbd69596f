"""What to change in the plan, from what was found: sentences for people, each with the indicators behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from posology.collapse.diagnosis import Diagnosis
from posology.collapse.examples import Find
from posology.collapse.indicators import VerdictName

NAMED = 5


@dataclass(frozen=True, slots=True)
class Advice:
    """One change, and why.

    Attributes:
        change: What to do.
        because: Names of the indicators that moved.
    """

    change: str
    because: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For the result file."""
        return {"change": self.change, "because": list(self.because)}


@dataclass(frozen=True, slots=True)
class _Rule:
    change: str
    names: frozenset[str]
    verdicts: frozenset[VerdictName]


def _rule(change: str, names: str, verdicts: str = "narrow flat shifted") -> _Rule:
    return _Rule(change, frozenset(names.split()), frozenset(verdicts.split()))  # type: ignore[arg-type]


_RULES = (
    _rule(
        "Ask for variety of wording: more personas and channels, another real example in every prompt, a higher "
        "temperature; keep `generate.feedback` on, so that openings and names that were used often are ruled out; "
        "reject near copies.",
        "compression distinct_1 distinct_2 distinct_3 self_repetition vocabulary_growth openings templates near_copies",
        "narrow",
    ),
    _rule("Give each plan row a name of its own, or none: a few full names stand in too many texts.", "names"),
    _rule(
        "Show the generator the real conversations that nothing synthetic is near (listed as missing) as its examples, "
        "and spread the rows of a topic over them instead of over the typical ones.",
        "vendi coverage topic_spread unreached outliers_covered far_out density",
        "narrow",
    ),
    _rule(
        "Bring the text back to what customers write about: more and nearer real examples in the prompt, support docs "
        "of the very topic, and a verification that rejects what lies far from all real conversations.",
        "density far_out told_by_meaning topic_spread vendi",
        "shifted",
    ),
    _rule(
        "Plan more moods: give negative and urgent rows the share that they have in real data, and tell the writer to "
        "show it in the words, not to name it.",
        "mood mood_spread arousal arousal_spread frustrated sarcastic polite",
        "flat shifted",
    ),
    _rule(
        "Take the mess of real messages over row by row (casing, typos, marks, fragments), and look whether the writer "
        "obeys: text is cleaner than customers write.",
        "typos lower_case shouting unpunctuated exclamations repeated_marks emoji fragments incoherent",
        "flat",
    ),
    _rule(
        "Tone the imitated mess down to its real share: these signs stand more often than customers put them.",
        "typos lower_case shouting unpunctuated exclamations repeated_marks emoji fragments incoherent links digits "
        "questions",
        "shifted",
    ),
    _rule(
        "Ask for the lengths and numbers of turns that real conversations have, each row its own.",
        "length length_spread turns turns_spread",
    ),
    _rule(
        "The wording itself differs (other words, not fewer): let the writer see how customers put it, and less of the "
        "docs' language.",
        "compression distinct_1 distinct_2 distinct_3 vocabulary_growth told_by_surface",
        "shifted",
    ),
)


def advise(diagnosis: Diagnosis, missing: Sequence[Find]) -> list[Advice]:
    """The changes that the faults call for, the worst fault first."""
    faults = {reading.indicator.name: reading for reading in diagnosis.faults}
    found = []
    topics = [find.topics[0] for find in missing if find.kind == "topic" and find.topics]
    lacking = tuple(name for name in ("topics_missing", "tail_missing") if name in faults)
    if lacking and topics:
        more = f" and {len(topics) - NAMED} more" if len(topics) > NAMED else ""
        found.append(Advice(f"Plan rows for the topics that have none: {', '.join(topics[:NAMED])}{more}.", lacking))
    for rule in _RULES:
        because = tuple(n for n, r in faults.items() if n in rule.names and r.verdict in rule.verdicts)
        if because:
            found.append(Advice(rule.change, because))
    worst = {name: place for place, name in enumerate(faults)}
    return sorted(found, key=lambda advice: worst[advice.because[0]])
