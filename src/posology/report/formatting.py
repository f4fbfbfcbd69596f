"""How numbers are written for people: the one place that decides digits, signs and units.

Shares in [0, 1] become percentages, their differences percentage points. Missing values become a dash, so that "not
measured" is never mistaken for 0. Units stand behind a no-break space and never wrap.
"""

from __future__ import annotations

from collections.abc import Sequence

NBSP = "\u00a0"
MINUS = "\u2212"
DASH = "\u2013"
ELLIPSIS = "\u2026"
SYMBOLS = {"USD": "$", "EUR": "\u20ac", "GBP": "\u00a3", "JPY": "\u00a5", "INR": "\u20b9"}


def _fixed(value: float, digits: int) -> str:
    """Rounded, thousands grouped, a true minus sign, and no negative zero."""
    text = f"{value:,.{digits}f}"
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.,") else MINUS + text[1:]
    return text


def number(share: float | None, digits: int = 1) -> str:
    """A share as a bare percentage, for cells under a heading that names the unit: `86.4`."""
    return DASH if share is None else _fixed(share * 100, digits)


def percent(share: float | None, digits: int = 1) -> str:
    """A share with its unit: `86.4 %`."""
    return DASH if share is None else f"{number(share, digits)}{NBSP}%"


def signed(difference: float | None, digits: int = 1) -> str:
    """A difference of shares in percentage points, with its sign: `+15.0`."""
    if difference is None:
        return DASH
    text = number(difference, digits)
    return text if text.startswith(MINUS) or not text.strip("0.") else f"+{text}"


def points(difference: float | None, digits: int = 1) -> str:
    """A difference of shares with its unit: `+15.0 points`."""
    return DASH if difference is None else f"{signed(difference, digits)}{NBSP}points"


def span(difference: float | None, digits: int = 1) -> str:
    """The size of a difference, without sign: `6.1 points`."""
    return DASH if difference is None else f"{number(difference, digits)}{NBSP}points"


def interval(ci95: Sequence[float] | None, digits: int = 1) -> str:
    """An interval of shares or of differences: `[10.5, 20.0]`."""
    return "" if ci95 is None else f"[{number(ci95[0], digits)},{NBSP}{number(ci95[1], digits)}]"


def dose(share: float) -> str:
    """A dose: whole percentages stay whole, others get one digit: `30 %`, `7.5 %`."""
    digits = 0 if abs(share * 100 - round(share * 100)) < 0.05 else 1
    return percent(share, digits)


def count(value: float | None) -> str:
    """A number of things: `2,000`."""
    return DASH if value is None else _fixed(value, 0)


def decimal(value: float | None, digits: int = 1) -> str:
    """A plain number with so many digits: `1,204.5`; whole numbers drop theirs."""
    if value is None:
        return DASH
    return _fixed(value, 0 if value == round(value) else digits)


def p_value(p: float | None) -> str:
    """A p-value: `<0.001`, `0.034`, `0.41`, `1`."""
    if p is None:
        return DASH
    if p < 0.001:
        return "<0.001"
    if p > 0.995:
        return "1"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def money(amount: float | None, currency: str) -> str:
    """An amount in a currency, given as a sign or a code: `$2,560`, `$3.20`, `2,560 CHF`."""
    if amount is None:
        return DASH
    digits = 0 if abs(amount) >= 100 or amount == round(amount) else 2 if abs(amount) >= 0.01 else 4
    text = _fixed(abs(amount), digits)
    sign = MINUS if amount < 0 and text.strip("0.,") else ""
    symbol = SYMBOLS.get(currency.upper(), currency)
    return f"{sign}{text}{NBSP}{symbol}" if symbol.isalpha() else f"{sign}{symbol}{text}"


def seconds(value: float) -> str:
    """A duration: `0.4 s`, `75 s`, `12 min 05 s`, `2 h 10 min`."""
    if value < 10:
        return f"{value:.1f}{NBSP}s"
    if value < 100:
        return f"{value:.0f}{NBSP}s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min{NBSP}{rest:02d}{NBSP}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{NBSP}h{NBSP}{minutes:02d}{NBSP}min"


def clip(text: str, length: int) -> str:
    """One line of at most `length` characters; what is cut off is marked."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + ELLIPSIS


def plural(n: float, noun: str, many: str | None = None) -> str:
    """A count with its noun: `1 topic`, `77 topics`."""
    return f"{count(n)}{NBSP}{noun if round(n) == 1 else many or noun + 's'}"


def listing(words: Sequence[str]) -> str:
    """Words as a sentence lists them: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
