"""Which language a text is in: by its script, and in Latin script by its commonest small words.

Light on purpose: it tells apart what a format check must tell apart (a reply in German where English was asked for),
says nothing of short texts, and does not try to part close relatives such as Danish and Norwegian.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

#: Language by ISO 639-1 code, in English words.
NAMES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "sv": "Swedish",
    "da": "Danish or Norwegian",
    "pl": "Polish",
    "tr": "Turkish",
    "ru": "Russian or another language in Cyrillic script",
    "el": "Greek",
    "ar": "Arabic",
    "he": "Hebrew",
    "hi": "Hindi",
    "th": "Thai",
    "zh": "Chinese",
    "ja": "Japanese",
    "ko": "Korean",
}
# Words that are frequent in one language and, as far as possible, none in the others.
_SMALL_WORDS = {
    "en": "i a do we me in on if so get be as by or an am any all need want why there where no our us did has the "
    "and you is my for it have to with this that not was are but can what your when how been will would they "
    "from i've i'm don't it's of at",
    "de": "der die das und ich nicht ist ein eine mit zu auf für sie wir haben habe es den dem wie kann aber auch mein "
    "meine ihre bitte noch wurde von",
    "fr": "le la les des et je vous est pas une que pour dans mon ma nous avec sur ne ce votre bonjour suis mais "
    "été du "
    "j'ai c'est au plus",
    "es": "el la los las y que de no en un una por con para mi su está pero me lo es como ha hola he usted qué cuando "
    "muy del se",
    "it": "il lo gli che di non un una per con mi è sono ho la ma come del della questo buongiorno mio mia ha più "
    "ancora "
    "nel perché grazie si",
    "pt": "o os que de não um uma para com em por meu minha você está mas foi do da no na eu olá obrigado já como "
    "muito "
    "ainda seu sua",
    "nl": "de het een ik niet en van is dat op te mijn voor met je u maar heb kan wat er naar heeft nog wel ook mij "
    "was",
    "sv": "och jag det att är inte en på för som med har till av min men kan hej vad har den ni mitt från när",
    "da": "og jeg det er ikke en på for som med har til af min men kan hej hvad den vi mit fra når jer ikke hvor",
    "pl": "w nie na się że jest z jak mam ale czy mi mój moje proszę został przez dla od już jestem po",
    "tr": "ve bir bu için değil ama ne da de benim var yok çok olarak mi ile merhaba nas\u0131l kadar gibi daha lütfen",
}
_OF_WORD = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
_LANGUAGES_OF_WORD: dict[str, tuple[str, ...]] = {
    word: tuple(name for name, small in _OF_WORD.items() if word in small)
    for word in frozenset().union(*_OF_WORD.values())
}
#: The small words of all languages but one.
_OTHERS = {
    language: frozenset().union(*(words for other, words in _OF_WORD.items() if other != language))
    for language in _OF_WORD
}
_SCRIPTS = {
    "CYRILLIC": "ru",
    "GREEK": "el",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "THAI": "th",
    "CJK": "zh",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
}
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_ASCII_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")  # the same in plain lower case, twice as fast
_LEAST_HITS = 3
_LEAST_LETTERS = 4


def language_of(text: str) -> str | None:
    """The language of a text as a code of `NAMES`; None if the text is too short or too mixed to tell."""
    script = _script(text)
    if script is not None:
        return script
    hits = _hits(_words(text))
    if not hits:
        return None
    (best, most), *others = hits.most_common(2)
    second = others[0][1] if others else 0
    return best if most >= _LEAST_HITS and most >= 1.5 * second else None


def differs(text: str, language: str) -> str | None:
    """The language of a text if it clearly is another than the given one, else None.

    Clearly means: another script for more than half of its letters, or at least three small words of another
    language and twice as many as of the given one.
    """
    script = _script(text)
    if language in _OF_WORD:
        return script or _other(_words(text), language)
    if script is not None:
        # Japanese and Korean texts may be written in Chinese characters for the most part.
        return script if script != language and {script, language} - {"zh", "ja", "ko"} else None
    return language_of(text)


def turns_differ(turns: Sequence[str], language: str) -> str | None:
    """The language of a conversation or, if that is right, of the first of its turns that is in another; else None."""
    if language not in _OF_WORD or not all(map(str.isascii, turns)):
        found = (differs(text, language) for text in ("\n".join(turns), *turns))
        return next((other for other in found if other is not None), None)
    words = [_words(text) for text in turns]
    found = (_other(said, language) for said in ([*chain.from_iterable(words)], *words))
    return next((other for other in found if other is not None), None)


def common_language(texts: Iterable[str]) -> str | None:
    """The language of most texts that have one; None if none has, or no language has more than half of them."""
    found = Counter(language for text in texts if (language := language_of(text)) is not None)
    if not found:
        return None
    language, most = found.most_common(1)[0]
    return language if 2 * most > found.total() else None


def _words(text: str) -> list[str]:
    folded = text.lower().replace("\u2019", "'")
    return (_ASCII_WORD if folded.isascii() else _WORD).findall(folded)


def _other(words: Sequence[str], language: str) -> str | None:
    """The language of most small words, if it clearly is another."""
    own = sum(map(_OF_WORD[language].__contains__, words))
    least = max(_LEAST_HITS, 2 * own + 1)
    if sum(map(_OTHERS[language].__contains__, words)) < least:  # all others together: as it is nearly always
        return None
    best, most = max(_hits(words).items(), key=lambda item: item[1])
    return best if most >= least and best != language else None


def _hits(words: Iterable[str]) -> Counter[str]:
    """How many small words of each language there are."""
    return Counter(language for word in words for language in _LANGUAGES_OF_WORD.get(word, ()))


def _script(text: str) -> str | None:
    """The language that another script than Latin stands for, if more than half of the letters are in it."""
    if text.isascii():
        return None
    letters = [letter for letter in text if letter.isalpha()]
    found: Counter[str] = Counter()
    for letter in letters:
        if letter > "\u036f":
            name = unicodedata.name(letter, "").split(" ", 1)[0].split("-", 1)[0]
            if name in _SCRIPTS:
                found[_SCRIPTS[name]] += 1
    if found["ja"] and found["zh"]:
        found["ja"] += found.pop("zh")
    # Scripts without spaces need few letters to say something.
    if len(letters) < _LEAST_LETTERS or not found:
        return None
    script, most = found.most_common(1)[0]
    return script if 2 * most > len(letters) else None
