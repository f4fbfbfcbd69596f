"""Privacy: nothing of a real customer comes through, and nothing that looks like somebody's.

    real_datum      a personal datum of a real conversation, holdout included: an e-mail address, a telephone, card or
                    order number, a full name, ..., exact once case and separators are folded
    verbatim_span   a run of words that stands in one real conversation and is longer than what two real customers
                    have in common by chance
    personal_data   an e-mail address, telephone number, card, IBAN, ... that could be anybody's: outside the ranges
                    that belong to nobody

Deduplicated training data is memorised far less (Carlini et al., "Quantifying Memorization Across Neural Language
Models", 2023), and planted canaries are how one sees that a filter works (Carlini et al., "The Secret Sharer", 2019).
What the company itself publishes (its documentation, its catalog, what its agents say again and again) is no secret.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from posology.conversations.masking import Finder, find
from posology.matching.normalise import normalise
from posology.records import Conversation, DocSection, Finding

PUBLISHED = 3  # conversations in which agents say a thing that is the company's own
WELL_KNOWN = 5  # real conversations in which a handle or link stands that is nobody's own
CHANCE = 0.005  # share of real conversations that share so long a run of words with another
SHORTEST, LONGEST = 8, 40  # words of a span; fewer say little about who wrote them
_EVERYBODYS = frozenset({"handle", "link"})
#: Kinds that may be made up without being anybody's: names, orders, pages. Everything else is a datum about a person.
_INVENTED = frozenset({"name", "number", "handle", "link"})
_CODE = re.compile(r"(?<![\w£$€.,-])(?=[\w-]*\d)(?=(?:[^\d\s]*\d){2})[A-Za-z0-9]+(?:[-_/]?[A-Za-z0-9]+)*(?![\w%])")
_NOBODYS = re.compile(
    r"@(?:[\w-]+\.)*example\.(?:com|org|net)$|@[\w.-]+\.(?:example|test|invalid|localhost)$"  # RFC 2606
    r"|^(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+$"  # RFC 5737
    r"|^(?:127|10)\.\d+\.\d+\.\d+$|^192\.168\.\d+\.\d+$|^0\.0\.0\.0$"
    r"|^1?\d{3}55501\d\d$|^55501\d\d$"  # North American numbers kept for fiction
    r"|^(?:44|0)?(?:7700900\d{3}|(?:113|114|115|116|117|118|121|131|141|151|161|191)4960\d{3}|2079460\d{3}|1632960\d{3}"
    r"|8081570\d{3}|9098790\d{3}|3069990\d{3})$"  # and those of the United Kingdom
    r"|^(?:4111111111111111|4242424242424242|4000056655665556|5555555555554444|5105105105105100|378282246310005"
    r"|371449635398431|6011111111111117|4012888888881881|30569309025904|3530111333300000)$"  # test cards
    r"|^(?:gb29nwbk60161331926819|gb82west12345698765432|gb33bukb20201555555555|de89370400440532013000"
    r"|fr1420041010050500013m02606|nl91abna0417164300)$"  # IBANs of the registry's own examples
    r"|^(?:123456789|078051120|219099999|qq123456[a-d])$"
)


def _folded(kind: str, value: str) -> str:
    """A value without what people vary: case, spaces, separators, and the zeros or plus before a telephone number."""
    folded = value.casefold()
    if kind in ("email", "link", "handle"):
        return re.sub(r"^(?:https?://)?(?:www\.)?", "", folded).rstrip("/")
    if kind in ("name", "address"):
        return normalise(folded)
    folded = re.sub(r"[\W_]", "", folded)
    # The same number with and without the code of its country has the same end.
    return folded.lstrip("0")[-9:] if kind == "phone" else folded


def personal_values(text: str, finder: Finder = find) -> Iterator[tuple[str, str]]:
    """Kind and folded value of every personal datum in a text, and every code that could identify somebody.

    Single names are left out (there is more than one Alex), and so are short numbers.
    """
    spaced = " ".join(text.split())
    for form in {text, spaced}:
        for found in finder(form):
            folded = _folded(found.kind, form[found.start : found.end])
            if len(folded) >= 5 and (found.kind != "name" or " " in folded):
                yield found.kind, folded
    for match in _CODE.finditer(text):
        folded = _folded("number", match[0])
        digits = sum(map(str.isdigit, folded))
        if (len(folded) >= 6 and digits >= 2 and digits < len(folded)) or digits >= 6:
            yield "number", folded


class _Published:
    """What the company says itself, and is therefore nobody's secret."""

    def __init__(self, published: Iterable[str], real: Sequence[Conversation], finder: Finder) -> None:
        self.values = {value for text in published for _, value in personal_values(text, finder)}
        said: Counter[str] = Counter()
        for conversation in real:
            agents, customers = (
                {v for m in conversation.messages if m.role in roles for _, v in personal_values(m.content, finder)}
                for roles in (("assistant", "system"), ("user",))
            )
            said.update(agents - customers)  # an agent who reads back what the customer gave publishes nothing
        self.values |= {value for value, n in said.items() if n >= PUBLISHED}


class RealData:
    """The check `real_datum`.

    Args:
        real: Every real conversation that there is: training data, holdout, traffic.
        docs: The company's documentation.
        catalog: The company's catalog.
        finder: Finds personal data in a text.
    """

    def __init__(
        self,
        real: Sequence[Conversation],
        docs: Sequence[DocSection] = (),
        catalog: Sequence[Mapping[str, str]] = (),
        finder: Finder = find,
    ) -> None:
        self._finder = finder
        published = [*(f"{s.heading}\n{s.text}" for s in docs), *(v for row in catalog for v in row.values())]
        self.published = _Published(published, real, finder).values
        owners: dict[str, str] = {}
        kinds: dict[str, str] = {}
        standing: Counter[str] = Counter()
        for conversation in real:
            values = {(v, k) for m in conversation.messages for k, v in personal_values(m.content, finder)}
            for value, kind in sorted(values):
                owners.setdefault(value, conversation.id)
                kinds.setdefault(value, kind)
            standing.update({value for value, _ in values})
        self._owners: dict[str, str] = {
            value: owner
            for value, owner in owners.items()
            if value not in self.published and not (kinds[value] in _EVERYBODYS and standing[value] >= WELL_KNOWN)
        }

    @property
    def n_protected(self) -> int:
        """How many real customers' data may not come through."""
        return len(self._owners)

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate; the score counts the real customers' data in it."""
        return [self._finding(candidate) for candidate in candidates]

    def _finding(self, candidate: Conversation) -> Finding:
        values = {v: k for m in candidate.messages for k, v in personal_values(m.content, self._finder)}
        known = sorted(value for value in values if value in self._owners)
        if not known:
            return Finding("real_datum", "pass", 0.0, 0.0)
        kinds = ", ".join(sorted({values[value] for value in known}))
        owner = self._owners[known[0]]
        return Finding("real_datum", "fail", float(len(known)), 0.0, f"{kinds} of the real conversation {owner}", owner)


class GenuineLooking:
    """The check `personal_data`.

    Args:
        published: Folded values that are the company's own, as `RealData.published` has them.
        finder: Finds personal data in a text.
    """

    def __init__(self, published: Iterable[str] = (), finder: Finder = find) -> None:
        self._published = frozenset(published)
        self._finder = finder

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate; the score counts what looks like somebody's."""
        return [self._finding(candidate) for candidate in candidates]

    def _finding(self, candidate: Conversation) -> Finding:
        kinds = [kind for message in candidate.messages for kind in self._genuine(message.content)]
        if not kinds:
            return Finding("personal_data", "pass", 0.0, 0.0)
        counted = ", ".join(f"{kind} {n}" for kind, n in sorted(Counter(kinds).items()))
        return Finding("personal_data", "fail", float(len(kinds)), 0.0, f"looks like somebody's own: {counted}")

    def _genuine(self, text: str) -> Iterator[str]:
        for found in self._finder(text):
            value = text[found.start : found.end]
            folded = _folded(found.kind, value)
            plain = value.casefold() if found.kind in ("email", "ip") else re.sub(r"[\W_]", "", value.casefold())
            nobodys = _NOBODYS.search(plain)
            if found.kind not in _INVENTED and not nobodys and folded not in self._published:
                yield found.kind


class VerbatimSpan:
    """The check `verbatim_span`.

    How long a run of words must be to give one customer away is read from real data: the shortest length at which
    at most `CHANCE` of the real conversations share a run with another one.

    Args:
        real: Every real conversation that there is.
    """

    def __init__(self, real: Sequence[Conversation]) -> None:
        told = {  # the same conversation exported twice is one: its words are still one customer's own
            tuple(normalise(m.content) for m in c.messages if m.role == "user"): c.id for c in reversed(real)
        }
        self._words = [[turn.split() for turn in turns] for turns in told]
        self._ids = list(told.values())
        self.length = self._least_length()
        self._owner: dict[int, int] = {}
        for row, turns in enumerate(self._words):
            for run in {run for words in turns for run in _runs(words, self.length)}:
                self._owner[run] = -1 if run in self._owner else row  # in two conversations it is nobody's own

    def _least_length(self) -> int:
        for length in range(SHORTEST, LONGEST):
            seen: Counter[int] = Counter()
            rows = [{run for words in turns for run in _runs(words, length)} for turns in self._words]
            for runs in rows:
                seen.update(runs)
            sharing = sum(any(seen[run] > 1 for run in runs) for runs in rows)
            if sharing <= CHANCE * len(rows):
                return length
        return LONGEST

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate; the score is the length in words of the longest run of a real customer's."""
        return [self._finding(candidate) for candidate in candidates]

    def _finding(self, candidate: Conversation) -> Finding:
        longest, owner = 0, -1
        for message in candidate.messages:
            run, previous = 0, -1
            for hashed in _runs(normalise(message.content).split(), self.length):
                row = self._owner.get(hashed, -1)
                run = run + 1 if row >= 0 and row == previous else int(row >= 0)
                previous = row
                if run and run + self.length - 1 > longest:
                    longest, owner = run + self.length - 1, row
        threshold = float(self.length)
        if not longest:
            return Finding("verbatim_span", "pass", 0.0, threshold)
        detail = f"{longest} words in a row stand in the real conversation {self._ids[owner]}, and in no other"
        return Finding("verbatim_span", "fail", float(longest), threshold, detail, self._ids[owner])


def _runs(words: Sequence[str], length: int) -> list[int]:
    """A number for every run of so many words, in order."""
    return [hash(tuple(words[start : start + length])) for start in range(len(words) - length + 1)]
