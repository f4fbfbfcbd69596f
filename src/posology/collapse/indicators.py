"""The indicators: what each is called, what it means when it leaves the range of real text, and how it is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VerdictName = Literal["ok", "narrow", "flat", "shifted"]
Scale = Literal["plain", "share", "log"]
Matching = Literal["full", "topic", "none"]

FAMILIES = ("lexical", "semantic", "edge cases", "affect", "surface", "detectability")


@dataclass(frozen=True, slots=True)
class Indicator:
    """One figure about a sample.

    Attributes:
        name: Its key in result files.
        family: One of `FAMILIES`.
        title: For people.
        low: The verdict where it is lower than real text gives; None: lower is no fault.
        high: Likewise where it is higher.
        scale: `share` figures are compared on the arcsine scale, `log` ones on the logarithm, where their spread does
            not hang on their size.
        match: In what the two samples agree: `full` (topic and length), `topic`, or `none`.
        paired: Whether it is measured against a real sample; if not, it is a figure of the sample alone.
        grain: Least spread on a plain scale, in units of one row's share: what one odd row may do unnoticed.
    """

    name: str
    family: str
    title: str
    low: VerdictName | None = None
    high: VerdictName | None = None
    scale: Scale = "plain"
    match: Matching = "full"
    paired: bool = False
    grain: float = 0.0


INDICATORS: tuple[Indicator, ...] = (
    Indicator("compression", "lexical", "compression ratio", "shifted", "narrow", "log"),
    Indicator("distinct_1", "lexical", "distinct words", "narrow", "shifted"),
    Indicator("distinct_2", "lexical", "distinct word pairs", "narrow", "shifted"),
    Indicator("distinct_3", "lexical", "distinct word triples", "narrow", "shifted"),
    Indicator("self_repetition", "lexical", "4-grams of another text too", None, "narrow", "share"),
    Indicator("vocabulary_growth", "lexical", "vocabulary growth (Heaps)", "narrow", "shifted"),
    Indicator("openings", "lexical", "texts that open alike", None, "narrow", "share"),
    Indicator("templates", "lexical", "sentences on a shared template", None, "narrow", "share"),
    Indicator("near_copies", "lexical", "exact and near copies", None, "narrow", "share"),
    Indicator("names", "lexical", "most over-used full name", None, "narrow", paired=True, grain=1.0),
    Indicator("vendi", "semantic", "Vendi score", "narrow", "shifted", "log"),
    Indicator("density", "semantic", "density around real texts", "shifted", "narrow", "log", paired=True),
    Indicator("coverage", "semantic", "coverage of real texts", "narrow", None, "share", paired=True),
    Indicator("topic_spread", "semantic", "spread within topics", "narrow", "shifted", "log"),
    Indicator("unreached", "semantic", "real regions not reached", None, "narrow", "share", paired=True),
    Indicator("topics_missing", "edge cases", "real texts of missing topics", None, "narrow", "share", "none"),
    Indicator("tail_missing", "edge cases", "rare topics missing", None, "narrow", "share", "none"),
    Indicator("outliers_covered", "edge cases", "coverage of real outliers", "narrow", None, "share", paired=True),
    Indicator("far_out", "edge cases", "texts far out", "narrow", "shifted", "share", paired=True),
    Indicator("mood", "affect", "mood", "shifted", "shifted"),
    Indicator("mood_spread", "affect", "spread of mood", "flat", "shifted"),
    Indicator("arousal", "affect", "arousal", "flat", "shifted"),
    Indicator("arousal_spread", "affect", "spread of arousal", "flat", "shifted"),
    Indicator("frustrated", "affect", "frustrated turns", "flat", "shifted", "share"),
    Indicator("incoherent", "affect", "incoherent turns", "flat", "shifted", "share"),
    Indicator("sarcastic", "affect", "sarcastic turns", "flat", "shifted", "share"),
    Indicator("polite", "affect", "polite texts", "shifted", "flat", "share"),
    Indicator("typos", "surface", "texts with misspelt words", "flat", "shifted", "share"),
    Indicator("lower_case", "surface", "texts all in lower case", "flat", "shifted", "share"),
    Indicator("shouting", "surface", "texts with capitals", "flat", "shifted", "share"),
    Indicator("unpunctuated", "surface", "turns without a last mark", "flat", "shifted", "share"),
    Indicator("exclamations", "surface", "texts with exclamations", "flat", "shifted", "share"),
    Indicator("questions", "surface", "texts with questions", "shifted", "shifted", "share"),
    Indicator("repeated_marks", "surface", "texts with repeated marks", "flat", "shifted", "share"),
    Indicator("emoji", "surface", "texts with emoji", "flat", "shifted", "share"),
    Indicator("links", "surface", "texts with links or tags", "shifted", "shifted", "share"),
    Indicator("digits", "surface", "texts with digits", "shifted", "shifted", "share"),
    Indicator("fragments", "surface", "fragments", "flat", "shifted", "share"),
    Indicator("length", "surface", "log of words a text", "shifted", "shifted", match="topic"),
    Indicator("length_spread", "surface", "spread of length", "narrow", "shifted", "plain", "topic"),
    Indicator("turns", "surface", "log of turns", "shifted", "shifted", "plain", "topic", grain=1.0),
    Indicator("turns_spread", "surface", "spread of turns", "narrow", "shifted", "plain", "topic", grain=1.0),
    Indicator("told_by_meaning", "detectability", "AUC of classifier, meaning", None, "shifted", paired=True),
    Indicator("told_by_surface", "detectability", "AUC of classifier, style", None, "shifted", paired=True),
)
BY_NAME = {indicator.name: indicator for indicator in INDICATORS}
