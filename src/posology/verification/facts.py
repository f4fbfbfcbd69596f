"""What a text states and what can be looked up: amounts, percentages, periods, counts, links, telephone numbers.

Values are brought to one form, so that "£1,000", "1000 pounds" and "1k GBP" are one amount, "24 hours" and "one day"
one period, and both ends of "3-5 working days" are periods of days. Dates, times of day, order numbers and ordinals
are left out: an agent reads those from systems that no document holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["amount", "percentage", "period", "count", "contact"]
Key = tuple[str, str, float, str]

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_UNITS = {word: value for value, word in enumerate([*_ONES.split(), "eighteen", "nineteen"])}
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_SMALL = {**_UNITS, **_TENS, "dozen": 12}
_NUMBER_WORD = "|".join(sorted([*_SMALL, *_SCALES], key=len, reverse=True))
_SPELLED = re.compile(
    rf"\b(?:(?:{'|'.join(_SMALL)})|an?(?= (?:hundred|thousand|million|dozen)))"
    rf"(?:(?:[ -]|,? and )(?:{_NUMBER_WORD}))*\b",
    re.IGNORECASE,
)
# One of a unit without saying "one": it supports a figure, and is none of its own ("£5 a month").
_ARTICLE = re.compile(
    r"\b(?:an?|one|per|each|every)(?= (?:\w+ )?(?:hour|day|night|week|month|year)s?\b)", re.IGNORECASE
)

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY_OF_MONTH = r"\d{1,2}(?:st|nd|rd|th)?"
_NO_FIGURES = re.compile(
    "|".join(
        (
            rf"\b{_DAY_OF_MONTH}(?: of)? {_MONTH}\b(?:,? \d{{4}})?",
            rf"\b{_MONTH} {_DAY_OF_MONTH}\b(?:,? \d{{4}})?",
            r"\b\d{1,4}[/.-]\d{1,2}[/.-]\d{2,4}\b",
            r"\b(?:19|20)\d\d\b(?! ?(?:%|pounds|euros|dollars))",
            r"\b\d{1,2}[:.]\d{2} ?(?:am|pm|h)\b|\b\d{1,2}:\d{2}\b|\b\d{1,2} ?(?:am|pm|o'clock)\b",
            r"(?<![\w£$€])\d{6,}\b(?!\.\d)|#\w+",
            r"\b(?=\w*\d)(?=\w*[A-Za-z]{2})\w{5,}\b|\b[A-Za-z]{1,6}-\d{3,}\w*",
            r"\b\d+(?:st|nd|rd|th)\b|\b24/7\b|(?m:^\s*\d+[.)]\s)|\b\dd\b|\b(?:3ds|2fa|4g|5g)\b",
            r"\b(?:step|option|gate|terminal|platform|section|page|line|room|seat|row|item|flat) \d+\b",
        )
    ),
    re.IGNORECASE,
)
_CONTACT = re.compile(
    r"(?P<email>[\w.+%-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<link>\b(?:https?://|www\.)[^\s<>\"')]*[^\s<>\"'.,;:!?)\]]"
    r"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|co\.uk|"
    r"eu|de|fr|app|example)\b(?:/[\w./-]*\w)?)"
    r"|(?P<phone>(?<![\w.,-])(?:\+\d{1,3}[ .-]?|\(?0)\d{0,4}\)?(?:[ ./-]?\d){6,11}(?!\w)|\b\d{3}[ .-]\d{3}[ .-]\d{4}\b|"
    r"\b(?:0800|0808|0845|1[- ]8\d\d)[ -]?(?:\d[ -]?){5,8}\d\b)",
    re.IGNORECASE,
)

_CURRENCY = {
    "gbp": ("£", "gbp", "pound", "pounds", "quid", "sterling"),
    "eur": ("€", "eur", "euro", "euros"),
    "usd": ("$", "usd", "dollar", "dollars", "bucks", "us$"),
    "jpy": ("¥", "jpy", "yen"),
    "inr": ("₹", "inr", "rupee", "rupees"),
    "chf": ("chf", "francs"),
    "pln": ("pln", "zloty", "zł"),
    "sek": ("sek", "kr", "kronor"),
    "cents": ("pence", "p", "cent", "cents"),
}
_CODE = {sign: code for code, signs in _CURRENCY.items() for sign in signs}
_SECOND, _DAY = 1, 86_400
_PERIODS = {
    **dict.fromkeys(("second", "seconds", "sec", "secs"), ("time", _SECOND)),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), ("time", 60)),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), ("time", 3600)),
    **dict.fromkeys(("day", "days", "night", "nights"), ("time", _DAY)),
    **dict.fromkeys(("week", "weeks", "wk", "wks"), ("time", 7 * _DAY)),
    **dict.fromkeys(("fortnight", "fortnights"), ("time", 14 * _DAY)),
    **dict.fromkeys(("month", "months"), ("months", 1)),
    **dict.fromkeys(("year", "years", "yr", "yrs"), ("months", 12)),
}
_PERCENT = ("%", "percent", "per cent", "pct")
_WORDS = "|".join(sorted(map(re.escape, [*_CODE, *_PERIODS, *_PERCENT]), key=len, reverse=True))
_FIGURE = re.compile(
    r"(?:(?P<sign>US\$|[£$€¥₹]|\b(?:GBP|USD|EUR|JPY|INR|CHF|PLN|SEK)\b)\s?)?"
    r"(?<![\w.,])(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:[ \u00a0]\d{3})+(?!\d)|\d+(?:[.,]\d+)?)(?P<k>k\b)?"
    rf"(?:[\s\u00a0-]?(?:(?:working|business|calendar|full|consecutive|more|extra)[\s-])?(?P<unit>{_WORDS})(?!\w))?",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*(?:-|\u2013|\u2014|to|or|and|through|bis)\s*", re.IGNORECASE)
_HEDGE = re.compile(
    r"(?:about|around|roughly|approximately|approx\.?|nearly|almost|just under|just over|close to|~|some)\s*$",
    re.IGNORECASE,
)

_COUNTED = re.compile(
    r"\s(?:(?:free|spare|more|extra|different|other|virtual|physical|wrong|failed|new)\s)*([^\W\d_]{3,})"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A value that a text states.

    Attributes:
        kind: What it is.
        unit: Currency, `time` (in seconds), `months`, `email`, `link`, `phone`, or the empty string.
        value: The number in that unit; 0 for contacts.
        text: A contact in its normal form; empty for numbers.
        hedged: Whether it is given as about so much.
        noun: What is counted, as the beginning of the word; empty for other kinds.
    """

    kind: Kind
    unit: str
    value: float
    text: str = ""
    hedged: bool = False
    noun: str = ""

    @property
    def key(self) -> Key:
        """What makes two facts the same; the unit of an amount without currency is open."""
        return self.kind, self.unit, self.value, self.text


def facts(text: str, *, lenient: bool = False) -> list[Fact]:
    """The facts of a text, in their order.

    Args:
        text: A turn, or a part of the documentation.
        lenient: Read "a week" and "one day" as figures too: right for texts that facts are held against.
    """
    found = list(_contacts(text))
    plain = _CONTACT.sub(_blank, text)
    plain = _in_digits(plain, lenient=lenient)
    plain = _NO_FIGURES.sub(_blank, plain)
    return [*found, *_figures(plain)]


def _blank(match: re.Match[str]) -> str:
    return " \u2502 "


def _contacts(text: str) -> Iterator[Fact]:
    for match in _CONTACT.finditer(text):
        kind = match.lastgroup or ""
        value = match[0].lower()
        if kind == "phone":
            value = "".join(filter(str.isdigit, value)).lstrip("0")
        elif kind == "link":
            value = re.sub(r"^(?:https?://)?(?:www\.)?", "", value).rstrip("/")
        yield Fact("contact", kind, 0.0, value)


def _in_digits(text: str, *, lenient: bool) -> str:
    """The text with its spelled numbers as digits; "one" stays, unless lenient, since it is a pronoun as often."""

    def digits(match: re.Match[str]) -> str:
        words = re.split(r"[ ,-]+", match[0].lower())
        if words == ["one"] or words == ["zero"]:
            return match[0]
        total, part = 0, 0
        for word in words:
            if word in _SCALES:
                part = max(part, 1) * _SCALES[word]
                if _SCALES[word] > 100:
                    total, part = total + part, 0
            else:
                part += _SMALL.get(word, 0) if word not in ("a", "an", "and") else 0
        return str(total + part)

    text = _ARTICLE.sub("1", text) if lenient else text
    return _SPELLED.sub(digits, text)


def _number(text: str) -> float:
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
        return float(text.replace(",", ""))
    if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", text):
        return float(text.replace(".", ""))  # a point between thousands
    return float(re.sub(r"[ \u00a0]", "", text).replace(",", "."))


def _figures(text: str) -> Iterator[Fact]:
    matches = list(_FIGURE.finditer(text))
    later: Fact | None = None
    found: list[Fact] = []
    for place in range(len(matches) - 1, -1, -1):
        match = matches[place]
        fact = _figure(match, text)
        bare = match["sign"] is None and match["unit"] is None
        if bare and later is not None and _BETWEEN.fullmatch(text, match.end(), matches[place + 1].start()):
            fact = _figure(match, text, like=matches[place + 1])
        found.append(fact)
        later = fact if fact.kind != "count" else None
    return reversed(found)


def _figure(match: re.Match[str], text: str, like: re.Match[str] | None = None) -> Fact:
    """The fact of a match; the lower end of a range has the unit of the upper one."""
    value = _number(match["number"]) * (1000 if match["k"] else 1)
    source = like or match
    unit = (source["unit"] or "").lower()
    sign = (source["sign"] or "").lower()
    hedged = bool(_HEDGE.search(text, max(0, match.start() - 15), match.start()))
    if unit in _PERIODS and not sign:
        scale, seconds = _PERIODS[unit]
        return Fact("period", scale, value * seconds, hedged=hedged)
    if unit in _PERCENT:
        return Fact("percentage", "", value, hedged=hedged)
    code = _CODE.get(sign) or _CODE.get(unit)
    if code == "cents":
        return Fact("amount", "", value / 100, hedged=hedged)
    if code:
        return Fact("amount", code, value, hedged=hedged)
    if re.fullmatch(r"\d[\d,]*\.\d\d", match["number"]):
        return Fact("amount", "", value, hedged=hedged)
    counted = _COUNTED.match(text, match.end())
    return Fact("count", "", value, hedged=hedged, noun=counted[1].lower()[:5] if counted else "")
