"""How a conversation is written and felt, as numbers a row: mood, arousal, complaints, mess, length, turns.

Everything here looks at one row alone, but for typos, which need to know what other people write. Figures are shares
in [0, 1] or plain numbers; the words are English, the rest is not.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from posology.collapse.lexicon import FRUSTRATED, NEGATIONS, POLITE, REACH, SARCASTIC
from posology.collapse.lexicon import WORDS as FEELINGS

WORD = re.compile(r"[^\W\d_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W\d_]+)*")
SENTENCE = re.compile(r"[.!?\n]+")
EMOJI = re.compile(r"[\U0001F300-\U0001FAFF\u2600-\u27BF]|[:;]-?[()DP](?!\w)|<3")
LINK = re.compile(r"https?://|www\.|(?<!\w)[@#]\w")
REPEATED = re.compile(r"[!?.]{2,}|[!?] [!?]")
DRAWN_OUT = re.compile(r"([a-z])\1{2,}")
STAMMER = re.compile(r"\b(\w{3,}) \1\b")
DANGLING = frozenset(
    "and or but the a an to of for with at in on my your is are was were because so if that this".split()
)

FREQUENT = 5  # times that others write a word before another counts as its misspelling
SHORTEST = 5  # letters below which a word is never called a misspelling
FRAGMENT = 3  # words of a sentence that is none
BREATH = 30  # words without a stop that nobody reads twice with pleasure

COLUMNS = (
    "mood",
    "arousal",
    "frustrated",
    "incoherent",
    "sarcastic",
    "polite",
    "typos",
    "lower_case",
    "shouting",
    "unpunctuated",
    "exclamations",
    "questions",
    "repeated_marks",
    "emoji",
    "links",
    "digits",
    "fragments",
    "log_words",
    "turns",
    "word_length",
)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, apostrophes straightened."""
    return WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def feeling(text: str, words: Sequence[str]) -> tuple[float, float]:
    """Mood in [-1, 1] and arousal in [0, 1) of a text.

    Sums over the words of the lexicon, squashed as in VADER (Hutto and Gilbert 2014). A negation among the three words
    before turns a mood round and halves it; exclamation marks, capitals and drawn-out letters add arousal.
    """
    mood = arousal = 0.0
    for place, word in enumerate(words):
        pair = FEELINGS.get(word)
        if pair is None:
            continue
        before = words[max(0, place - REACH) : place]
        denied = any(w in NEGATIONS or w.endswith("n't") for w in before)
        mood += -0.5 * pair[0] if denied else pair[0]
        arousal += pair[1]
    shouted = sum(len(w) > 2 and w.isupper() for w in WORD.findall(text))
    arousal += min(text.count("!"), 4) + min(shouted, 4) + min(len(DRAWN_OUT.findall(text.lower())), 2)
    return mood / math.sqrt(mood * mood + 15), arousal / math.sqrt(arousal * arousal + 15)


def is_incoherent(text: str, words: Sequence[str]) -> bool:
    """Whether a turn runs on without a stop, breaks off, stammers, or trails off twice."""
    longest = max((len(WORD.findall(part)) for part in re.split(r"[.!?,;:\n]+", text)), default=0)
    broken = bool(words) and len(words) > 4 and words[-1] in DANGLING
    lowered = text.lower()
    trailing = len(re.findall(r"\.\.+|\u2026", text)) > 1
    return longest >= BREATH or broken or trailing or STAMMER.search(lowered) is not None


def _turn_signs(turns: Sequence[str]) -> tuple[float, float, float]:
    """Shares of frustrated, incoherent and sarcastic turns."""
    counts = [0, 0, 0]
    for turn in turns:
        words, lowered = words_of(turn), turn.lower()
        mood, arousal = feeling(turn, words)
        counts[0] += (mood < -0.3 and arousal > 0.4) or (mood <= 0 and FRUSTRATED.search(lowered) is not None)
        counts[1] += is_incoherent(turn, words)
        counts[2] += SARCASTIC.search(lowered) is not None
    n = max(len(turns), 1)
    return counts[0] / n, counts[1] / n, counts[2] / n


def row_features(turns: Sequence[str], n_turns: int) -> list[float]:
    """The columns of one row, `typos` still 0.

    Args:
        turns: The customer's turns.
        n_turns: Turns of customer and agent together.
    """
    text = "\n".join(turns)
    words = words_of(text)
    letters = [c for c in text if c.isalpha()]
    upper = sum(c.isupper() for c in letters)
    sentences = [len(WORD.findall(part)) for part in SENTENCE.split(text)]
    sentences = [n for n in sentences if n]
    shouted = sum(len(w) > 2 and w.isupper() for w in WORD.findall(text))
    return [
        *feeling(text, words),
        *_turn_signs(turns),
        float(POLITE.search(text.lower()) is not None),
        0.0,
        float(bool(letters) and upper == 0),
        float(shouted > 0),
        sum(turn.rstrip()[-1:].isalnum() for turn in turns) / max(len(turns), 1),
        float("!" in text),
        float("?" in text),
        float(REPEATED.search(text) is not None),
        float(EMOJI.search(text) is not None),
        float(LINK.search(text) is not None),
        float(any(c.isdigit() for c in text)),
        sum(n <= FRAGMENT for n in sentences) / max(len(sentences), 1),
        math.log1p(len(words)),
        float(n_turns),
        len(letters) / max(len(words), 1),
    ]


def misspelt_rows(rows: Sequence[Sequence[str]], n_real: int, known: Iterable[str] = ()) -> NDArray[np.bool_]:
    """Which rows hold a misspelt word.

    A misspelling is a word of five letters or more that no other real row and no document holds, and that a letter left
    out, put in or swapped with its neighbour parts from a word held by five of them. A real row is judged by all other
    real rows, never by itself: else real text would be spelt better than any other by construction.

    Args:
        rows: The words of all rows, real ones first.
        n_real: How many are real.
        known: Words of documents; each counts as frequent.
    """
    held = Counter(word for words in rows[:n_real] for word in set(words))
    frequent = {word for word, times in held.items() if times >= FREQUENT and len(word) >= SHORTEST - 1}
    documented = {word.lower() for word in known}
    frequent |= {word for word in documented if len(word) >= SHORTEST - 1}
    shortened = {short for word in frequent for short in _shortened(word)}
    misspelt: dict[str, bool] = {}

    def is_misspelt(word: str) -> bool:
        if word not in misspelt:
            near = word in shortened or not frequent.isdisjoint((*_shortened(word), *_swapped(word)))
            misspelt[word] = near and "'" not in word
        return misspelt[word]

    found = np.zeros(len(rows), bool)
    for row, words in enumerate(rows):
        own = int(row < n_real)
        rare = [w for w in words if len(w) >= SHORTEST and held[w] <= own and w not in documented]
        found[row] = any(map(is_misspelt, rare))
    return found


def _shortened(word: str) -> list[str]:
    return [word[:place] + word[place + 1 :] for place in range(1, len(word) - 1)]


def _swapped(word: str) -> list[str]:
    return [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, len(word) - 2)]
