"""The form in which two texts count as the same text."""

from __future__ import annotations

import unicodedata

_VARIATION_SELECTORS = frozenset((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
_KEYCAP = 0x20E3


class _Cleaned(dict[int, int | None]):
    """A table for `str.translate` that learns each code point when it first meets it."""

    def __missing__(self, code: int) -> int | None:
        category = unicodedata.category(chr(code))
        if category == "Cf" or code in _VARIATION_SELECTORS or code == _KEYCAP:
            # Invisible parts of a word (soft hyphen, joiners) or of an emoji: leaving a space would cut the word.
            self[code] = None
        else:
            self[code] = ord(" ") if category[0] in "PSZC" else code
        return self[code]


_CLEANED = _Cleaned()


def normalise(text: str) -> str:
    """Folds what people vary without meaning anything by it: width, case, punctuation, symbols, white space.

    NFKC and case folding as Unicode defines them for caseless matching (The Unicode Standard, section 3.13, D145-147);
    letters, marks and digits stay.

    Args:
        text: Any text, also one with lone surrogates.

    Returns:
        Words parted by single spaces. A text that is nothing but punctuation and symbols (an emoji) comes back as it
        was, white space at its ends apart, so that different emoji stay different.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_CLEANED).split()) or text.strip()
