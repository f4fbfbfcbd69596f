"""Masking of personal data in texts that are about to be shown to a model.

Found values are replaced by made-up ones of the same shape, not by marks such as `[EMAIL]`: a model copies the style of
its examples, marks included. Stand-ins come from ranges that belong to nobody where such exist (`example.com`,
documentation addresses of RFC 5737), and card numbers and IBANs from here never have a valid check digit. A stand-in is
drawn by order of appearance, so nothing of the original can be computed from it.

What is found: e-mail addresses, links, social-media handles, IP addresses, card numbers and IBANs (by check digit),
telephone numbers, sort codes, order and account numbers (a letter code with digits, six digits and more, or four and
more after "order", "account number" and the like), national insurance and social security numbers, UK postcodes,
street addresses, dates of birth, and names after a cue ("my name is", "regards,", "Mr", "Hi ... ," at the start of a
line).

What is not: names without a cue, places, and anything spelled out. Whoever needs certainty reads the plan file, which
holds every example as it will be sent.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace

from posology.records import Conversation, Message

_FIRST = "Alex Sam Robin Jo Kim Charlie Morgan Jamie Taylor Casey Riley Jordan Avery Quinn Rowan Frankie".split()
_LAST = "Reed Marsh Field Hale Brook Stone Lane Wells Frost Ford Hart Dale Penn West Cole Shaw".split()
_ROADS = "Mill Church Station Park Garden Bridge Orchard Chapel".split()
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXY"

_NAME = r"[A-Z][a-z]+(?:['-][A-Z][a-z]+)?"
_FULL_NAME = rf"{_NAME}(?:[ \t]+(?:[A-Z]\.?[ \t]+)?{_NAME})?"
_NO_NAMES = frozenset(
    "Not Just Still Sorry Very So Really Happy Unable Trying Having Going Looking Afraid Sure Also Here Now All The "
    "There "
    "Team Everyone Everybody Folks Guys Again Support Customer Service Thanks Thank Please Could Can What Where "
    "When Why "
    "How Is Are My Your This That It In On At From With And But Or If For".split()
)


# Names that are words as well: masked after a cue only.
_ALSO_WORDS = frozenset(
    "Will May Mark Grant Grace Hope Rose Bill Art Faith Joy April June August Dean Drew Chase".split()
)
_WORD = re.compile(r"[A-Z][\w'-]*")
_ANY_DIGIT = re.compile(r"\d")


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def _luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def _is_card(text: str) -> bool:
    digits = _digits(text)
    return 13 <= len(digits) <= 19 and _luhn(digits)


def _is_iban(text: str) -> bool:
    """The check digits of ISO 13616."""
    packed = re.sub(r"\s", "", text).upper()
    if not 15 <= len(packed) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in packed[4:] + packed[:4])) % 97 == 1


def _is_phone(text: str) -> bool:
    return 7 <= len(_digits(text)) <= 15


def _is_number(text: str) -> bool:
    """Whether it is the number of something, and no year."""
    return len(_digits(text)) >= 4 and not re.fullmatch(r"(?:19|20)\d\d", text)


def _is_name(text: str) -> bool:
    return text.split()[0] not in _NO_NAMES


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of personal data: where it stands (the group `value`, or all), and what else must hold.

    One of the clues, as it is or in lower case, stands in every text that holds a value, `0` for any digit: most texts
    have none, and need not be searched.
    """

    name: str
    clues: tuple[str, ...]
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = lambda _: True


_STREET = "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Close|Court|Ct|Way|Place|Pl|Crescent|Terrace|Boulevard|Blvd"
_AT, _DIGIT = ("@",), ("0",)
_CUED = (  # four digits and more behind a word that says what they are
    r"\b(?:{})(?: (?:number|no|nr|id|ref(?:erence)?|code))?(?:\.|:| is| #|#)? ?#?"
    r"(?P<value>(?=[A-Z-]*\d)[A-Z0-9-]{{4,20}})\b"
)
# In this order: a value that one kind has replaced is not looked at by the next.
_KINDS = (
    _Kind("email", _AT, re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")),
    _Kind("link", ("://", "www."), re.compile(r"\b(?:https?://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]]", re.IGNORECASE)),
    _Kind("ip", _DIGIT, re.compile(r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b")),
    _Kind("iban", _DIGIT, re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _is_iban),
    _Kind("card", _DIGIT, re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])"), _is_card),
    _Kind(
        "national_id",
        _DIGIT,
        re.compile(r"\b(?:\d{3}-\d{2}-\d{4}|[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D])\b"),
    ),
    _Kind(
        "birth_date",
        _DIGIT,
        re.compile(
            r"\b(?:born(?: on)?|dob|d\.o\.b\.?|date of birth|birthday)(?:\s+is)?[:\s]+"
            r"(?P<value>\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}(?:st|nd|rd|th)? [A-Za-z]{3,9},? \d{4})",
            re.IGNORECASE,
        ),
    ),
    _Kind(
        "phone",
        _DIGIT,
        re.compile(r"(?<![\w.,-])\+\d{1,3}[ .-]?(?:\(\d{1,5}\)|\d)(?:[ ./-]?\(?\d\)?){5,13}(?!\w)"),
        _is_phone,
    ),
    _Kind("phone", _DIGIT, re.compile(r"(?<![\w.,-])(?<!\d )\(?0\d{2,4}\)?(?:[ ./-]?\d){5,9}(?!\w)"), _is_phone),
    _Kind("phone", _DIGIT, re.compile(r"(?<![\w.,-])(?<!\d )\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\w)")),
    _Kind(
        "account",
        _DIGIT,
        re.compile(_CUED.format("account|acct|acc|passport|licen[cs]e"), re.IGNORECASE),
        _is_number,
    ),
    _Kind(
        "account",
        ("sort code",),
        re.compile(r"\bsort code\W{1,3}(?:is )?(?P<value>\d{2}[ -]?\d{2}[ -]?\d{2})\b", re.IGNORECASE),
    ),
    _Kind(
        "number",
        _DIGIT,
        re.compile(r"\b(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z]{1,6}[-_#/]?(?:\d[-/]?){5,}[A-Za-z]{0,3}\b"),
    ),
    _Kind("number", _DIGIT, re.compile(r"(?<![\w£$€])\d(?:[ -]?\d){5,18}(?![\w%])")),
    _Kind(
        "number",
        _DIGIT,
        re.compile(_CUED.format("customer|member|policy|order|booking|case|ticket|reference|ref"), re.IGNORECASE),
        _is_number,
    ),
    _Kind("postcode", _DIGIT, re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b")),
    _Kind("address", _DIGIT, re.compile(rf"\b\d{{1,5}}[A-Za-z]?,? (?:{_NAME} ){{1,3}}(?:{_STREET})\b")),
    _Kind("handle", _AT, re.compile(r"(?<![\w@/.])@[A-Za-z]\w{2,30}")),
    _Kind(
        "name",
        ("name", "account holder"),
        re.compile(rf"\b(?i:my name is|my name's|name:|account holder:?|in the name of)[ \t]+(?P<value>{_FULL_NAME})"),
        _is_name,
    ),
    _Kind(
        "name",
        ("i am", "i'm", "i\u2019m", "this is", "it's", "speaking", "ask for"),
        re.compile(
            rf"\b(?i:i am|i'm|i\u2019m|this is|it's|speaking to|speaking with|ask for)[ \t]+(?P<value>{_FULL_NAME})"
            r"(?=\s*(?:[,.!\n]|$|here\b|from\b|speaking\b|and\b))"
        ),
        _is_name,
    ),
    _Kind(
        "name",
        ("Mr", "Ms", "Miss", "Dr", "Prof"),
        re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.?[ \t]+(?P<value>{_FULL_NAME})"),
    ),
    _Kind(
        "name",
        ("\n",),
        re.compile(
            rf"\b(?i:regards|sincerely|cheers|thanks|thank you|best wishes|yours truly|yours|best),?[ "
            rf"\t]*\n+\s*(?P<value>{_FULL_NAME})[ \t]*(?=$|\n)"
        ),
        _is_name,
    ),
    _Kind(
        "name",
        ("Hi", "Hello", "Hey", "Dear"),
        re.compile(rf"(?m)^[ \t]*(?:Hi|Hello|Hey|Dear|Hiya)[ \t]+(?P<value>{_FULL_NAME})(?=[ \t]*(?:[,!.\u2013-]|$))"),
        _is_name,
    ),
)  # fmt: skip

_WITHOUT_DIGITS = frozenset({"email", "link", "handle", "name"})


@dataclass(frozen=True, slots=True)
class Found:
    """A value in a text.

    Attributes:
        kind: What it is: `email`, `link`, `ip`, `iban`, `card`, `national_id`, `birth_date`, `phone`, `account`,
            `number`, `postcode`, `address`, `handle` or `name`.
        start: Where it begins.
        end: Where it ends.
    """

    kind: str
    start: int
    end: int


Finder = Callable[[str], "list[Found]"]
"""Finds personal data in a text: `find`, or another detector behind the same interface."""


class Masker:
    """Masks the texts of one conversation, so that one person keeps one stand-in throughout.

    Args:
        seed: Where the stand-ins come from; equal texts in equal order give equal results.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._stand_ins: dict[tuple[str, str], str] = {}
        self._names: set[str] = set()
        self._searched: dict[str, list[Found]] = {}
        self.counts: Counter[str] = Counter()

    def learn_names(self, text: str) -> None:
        """Remembers the names in a text, so that they are masked in others too, where no cue stands before them."""
        if text not in self._searched:
            self._searched[text] = _find(text)
        for found in self._searched[text]:
            if found.kind == "name":
                words = text[found.start : found.end].split()
                self._names |= {word for word in words if len(word) > 2 and word not in _ALSO_WORDS}

    def mask(self, text: str) -> str:
        """The text with stand-ins for what was found; `counts` says how many of each kind."""
        self.learn_names(text)
        parts, end = [], 0
        for found in _and_names(text, self._searched[text], self._names):
            parts += [text[end : found.start], self._stand_in_for(found.kind, text[found.start : found.end])]
            end = found.end
            self.counts[found.kind] += 1
        return "".join([*parts, text[end:]])

    def _stand_in_for(self, kind: str, value: str) -> str:
        if kind == "name":
            # Word by word, so that "Joanna" stays the first name of "Joanna Kowalski".
            first, *rest = value.split()
            return " ".join([self._name(first, _FIRST), *(self._name(word, _LAST) for word in rest)])
        if (kind, value) not in self._stand_ins:
            self._stand_ins[kind, value] = self._stand_in(kind, value)
        return self._stand_ins[kind, value]

    def _name(self, word: str, choices: Sequence[str]) -> str:
        if ("name", word) not in self._stand_ins:
            self._stand_ins["name", word] = self._random.choice(choices)
        return self._stand_ins["name", word]

    def _stand_in(self, kind: str, value: str) -> str:
        pick = self._random.choice
        match kind:
            case "email":
                return f"{pick(_FIRST)}.{pick(_LAST)}@example.com".lower()
            case "link":
                return "https://www.example.com/"
            case "ip":
                return f"192.0.2.{self._random.randrange(1, 255)}"
            case "handle":
                return f"@{pick(_FIRST)}{pick(_LAST)}".lower()
            case "address":
                return f"{self._random.randrange(1, 99)} {pick(_ROADS)} {value.split()[-1]}"
            case "birth_date":
                return re.sub(r"\d+", lambda d: self._number(d[0]), value)
            case _:
                return self._scrambled(kind, value)

    def _number(self, digits: str) -> str:
        """A part of a date: a day or month that exists, a year of an adult."""
        if len(digits) == 4:
            return str(self._random.randrange(1950, 2000))
        return f"{self._random.randrange(1, 13):0{len(digits)}d}"

    def _scrambled(self, kind: str, value: str) -> str:
        """Other digits in the same places, and other letters in a postcode; no valid check digit."""
        others = _LETTERS if kind in ("postcode", "national_id", "iban") else ""
        valid = {"card": _is_card, "iban": _is_iban}.get(kind, lambda _: False)
        while True:
            made = "".join(
                str(self._random.randrange(10))
                if letter.isdigit()
                else self._random.choice(others)
                if others and letter.isalpha()
                else letter
                for letter in value
            )
            if made != value and not valid(made):
                return made


def mask(text: str, seed: int = 0) -> str:
    """One text with its personal data replaced; see the module for what is found and what is not."""
    return Masker(seed).mask(text)


def mask_conversation(conversation: Conversation, seed: int = 0) -> tuple[Conversation, Counter[str]]:
    """A conversation with masked turns. Fields of messages beside the content are dropped: they may hold anything.

    Returns:
        The masked conversation, and how many values of each kind were replaced.
    """
    (masked,), counts = mask_together([conversation], seed)
    return masked, counts


def mask_together(conversations: Sequence[Conversation], seed: int = 0) -> tuple[list[Conversation], Counter[str]]:
    """Several conversations with masked turns, equal values in all of them by one stand-in: they can be compared.

    Returns:
        The masked conversations, and how many values of each kind were replaced.
    """
    masker = Masker(seed)
    for conversation in conversations:
        for message in conversation.messages:
            masker.learn_names(message.content)
    masked = [
        replace(c, messages=tuple(Message(m.role, masker.mask(m.content)) for m in c.messages)) for c in conversations
    ]
    return masked, masker.counts


def find(text: str, names: Set[str] = frozenset()) -> list[Found]:
    """The personal data in a text, in its order; of overlapping finds the kind that the module names first.

    Args:
        text: Any text.
        names: Further words that are names wherever they stand.
    """
    return _and_names(text, _find(text), names)


def _find(text: str) -> list[Found]:
    """What is to be masked; of overlapping finds the kind that stands first in the list."""
    found: list[Found] = []
    folded = f"{text}\0{_ANY_DIGIT.sub('0', text.lower())}"
    for kind in _KINDS:
        if not any(clue in folded for clue in kind.clues):
            continue
        group = "value" if "value" in kind.pattern.groupindex else 0
        for match in kind.pattern.finditer(text):
            if kind.holds(match[group]):
                _add(found, kind.name, *match.span(group))
    return found


def _and_names(text: str, found: Sequence[Found], names: Set[str]) -> list[Found]:
    """What was found and, outside of it, every standing of the names; in the order of the text."""
    both = list(found)
    for name in sorted(names & set(_WORD.findall(text))) if names else ():
        for match in re.finditer(rf"\b{re.escape(name)}\b", text):
            _add(both, "name", *match.span())
    return sorted(both, key=lambda value: value.start)


def _add(found: list[Found], kind: str, start: int, end: int) -> None:
    if all(end <= other.start or other.end <= start for other in found):
        found.append(Found(kind, start, end))
