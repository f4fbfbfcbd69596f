"""Simple lexical signs of how a message is written: length, register, casing, typos, mood, turns.

They are coarse on purpose: each is a rule that fits in a sentence and can be checked by eye. The word lists are
English; in another language register and mood read `plain` and `neutral`, and the other signs still hold.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from posology.records import Conversation, TextRule

WORD = re.compile(r"[^\W\d_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W\d_]+)*")

FORMAL = frozenset(
    "please kindly regards sincerely dear sir madam assistance assist appreciate grateful inquire enquire inquiry "
    "enquiry furthermore however therefore regarding concerning advise request would could may".split()
)
CASUAL = frozenset(
    "hey hiya yo gonna wanna gotta gimme kinda lol lmao omg wtf ugh argh pls plz thx ty u ur r yeah yep yup nope nah "
    "ya yall y'all cuz coz dunno btw idk tbh asap dude bro mate guys dont cant wont im ive didnt doesnt isnt whats "
    "thats".split()
)
CASUAL_MARKS = re.compile(r"[!?]{2,}|[\U0001F300-\U0001FAFF\u2600-\u27BF]|[:;]-?[()DP](?!\w)")

URGENT = frozenset("urgent urgently immediately asap emergency desperate desperately stranded".split())
URGENT_PHRASES = ("right now", "right away", "as soon as possible", "at once", "straight away")
POSITIVE = frozenset(
    "thanks thank great good love loved lovely awesome excellent amazing happy glad pleased wonderful perfect best "
    "nice helpful appreciate brilliant fantastic enjoy enjoyed kudos cheers".split()
)
NEGATIVE = frozenset(
    "bad worst worse terrible horrible awful angry annoyed annoying frustrated frustrating disappointed disappointing "
    "upset unacceptable ridiculous rude poor sucks suck hate hated useless pathetic stupid joke shame disgusting wrong "
    "broken fail failed fails failing error problem problems issue issues complaint stolen stole lost fraud fraudulent "
    "scam stuck worried worry concerned confused confusing declined rejected refused cancelled canceled delayed "
    "missing unhappy".split()
)
# Words that say nothing of mood until they are denied: "not working", "hasn't arrived".
EXPECTED = frozenset(
    "work works working worked received receive arrived arrive show showing shown helping help".split()
)
NEGATIONS = frozenset("not no never without cannot nothing dont cant wont didnt doesnt isnt wasnt hasnt havent".split())
REACH = 3  # words over which a negation reaches

FREQUENT = 5  # times a word is seen before others count as its misspelling
SHORTEST = 5  # letters below which a rare word is never called a misspelling


def words(text: str) -> list[str]:
    """The words of a text, in lower case, apostrophes straightened; digits and underscores are no part of words."""
    return WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def register(text: str) -> str:
    """`formal`, `casual` or `plain`: which kind of sign is in the majority."""
    said = words(text)
    balance = sum(word in FORMAL for word in said) - sum(word in CASUAL for word in said)
    balance -= len(CASUAL_MARKS.findall(text))
    return "formal" if balance > 0 else "casual" if balance < 0 else "plain"


def casing(text: str) -> str:
    """`lower`, `upper` or `normal`; a text with fewer than two letters that have a case is `normal`."""
    cased = [letter for letter in text if letter.isupper() or letter.islower()]
    if len(cased) < 2:
        return "normal"
    return "lower" if not any(map(str.isupper, cased)) else "upper" if all(map(str.isupper, cased)) else "normal"


def mood(text: str) -> str:
    """`urgent`, or else the sign of good less bad words: `positive`, `neutral`, `negative`.

    A negation among the last three words turns a word round, and makes a bad sign of what was expected ("not working").
    """
    said = words(text)
    if not URGENT.isdisjoint(said) or any(phrase in " ".join(said) for phrase in URGENT_PHRASES):
        return "urgent"
    balance = 0
    for place, word in enumerate(said):
        denied = any(w in NEGATIONS or w.endswith("n't") for w in said[max(0, place - REACH) : place])
        value = (word in POSITIVE) - (word in NEGATIVE)
        balance += -value if denied else value
        balance -= denied and word in EXPECTED
    return "positive" if balance > 0 else "negative" if balance < 0 else "neutral"


def turns(conversation: Conversation) -> str:
    """How many turns customer and agent took together."""
    n = sum(message.role in ("user", "assistant") for message in conversation.messages)
    return "1 turn" if n <= 1 else "2 to 4 turns" if n <= 4 else "over 4 turns"


def lengths(texts: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Thirds by number of words, with the same two cuts for all topics.

    Returns:
        The third of each text, and the names of the thirds. Where many texts are equally long, thirds are unequal, and
        one whose bounds fall together is left out.
    """
    counts = [len(words(text)) for text in texts]
    ranked = sorted(counts)
    cuts = [ranked[(len(ranked) - 1) * third // 3] for third in (1, 2)] if ranked else [0, 0]
    short, medium, long = f"up to {cuts[0]} words", f"{cuts[0] + 1} to {cuts[1]} words", f"over {cuts[1]} words"
    names = (short, medium, long) if cuts[0] < cuts[1] else (short, long)
    return [short if n <= cuts[0] else medium if n <= cuts[1] else long for n in counts], names


@dataclass(frozen=True, slots=True)
class Misspellings:
    """Words of a corpus that are probably misspelt.

    A misspelling is a word seen once in the whole corpus, of at least five letters, that a letter left out, put in, or
    swapped with its neighbour parts from a word seen five times or more. A letter replaced by another does not count:
    on real messages most such pairs were two good words ("wanting", "waiting"). First and last letter must agree, which
    lets inflections through ("card", "cards").

    Attributes:
        found: The misspelt words.
    """

    found: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Misspellings:
        """Learns the vocabulary of a corpus and looks for misspellings in it."""
        seen = Counter(word for text in texts for word in words(text) if "'" not in word)
        frequent = {word for word, times in seen.items() if times >= FREQUENT and len(word) >= SHORTEST - 1}
        shortened = {short for word in frequent for short in _shortened(word)}
        rare = [word for word, times in seen.items() if times == 1 and len(word) >= SHORTEST]
        return cls(
            frozenset(
                word
                for word in rare
                if word in shortened
                or not frequent.isdisjoint(_shortened(word))
                or not frequent.isdisjoint(_swapped(word))
            )
        )

    def value(self, text: str) -> str:
        """`with typos` or `without typos`."""
        return "without typos" if self.found.isdisjoint(words(text)) else "with typos"


def _shortened(word: str) -> list[str]:
    return [word[:place] + word[place + 1 :] for place in range(1, len(word) - 1)]


def _swapped(word: str) -> list[str]:
    return [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, len(word) - 2)]


def dimensions(
    conversations: Sequence[Conversation], text_rule: TextRule
) -> dict[str, tuple[list[str], tuple[str, ...]]]:
    """Every sign of every conversation.

    Args:
        conversations: What to look at; cuts and vocabulary are learned from them.
        text_rule: Which turns count, for all signs but `turns`.

    Returns:
        By name of the dimension: the value of each conversation, and all values in their order, also those that do not
        occur.
    """
    texts = [text_rule.text(c) for c in conversations]
    spelling = Misspellings.of(texts)
    return {
        "length": lengths(texts),
        "register": ([register(t) for t in texts], ("formal", "plain", "casual")),
        "casing": ([casing(t) for t in texts], ("normal", "lower", "upper")),
        "typos": ([spelling.value(t) for t in texts], ("without typos", "with typos")),
        "mood": ([mood(t) for t in texts], ("negative", "neutral", "positive", "urgent")),
        "turns": ([turns(c) for c in conversations], ("1 turn", "2 to 4 turns", "over 4 turns")),
    }
