"""Who writes to support: a built-in list of personas that everybody may edit, and one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posology.errors import ConfigError

_REMEDY = "Write a YAML list of entries with a `name:` and an `about:` each, as in generation/personas.yaml."


@dataclass(frozen=True, slots=True)
class Persona:
    """Somebody who writes to support.

    Attributes:
        name: A few words, unique in a list.
        about: One or two sentences: situation, wish, manner. Not how they spell: that is measured.
    """

    name: str
    about: str


def built_in() -> tuple[Persona, ...]:
    """The personas that come with the package."""
    return read_personas(Path(__file__).parent / "personas.yaml")


def personas(own: Sequence[Persona] = (), *, with_built_in: bool = True) -> tuple[Persona, ...]:
    """The built-in personas and one's own; where a name stands in both, one's own counts.

    Raises:
        ConfigError: There is none at all.
    """
    merged = {persona.name: persona for persona in built_in()} if with_built_in else {}
    merged |= {persona.name: persona for persona in own}
    if not merged:
        raise ConfigError("there are no personas.", remedy=_REMEDY)
    return tuple(merged.values())


def read_personas(path: Path) -> tuple[Persona, ...]:
    """Reads a list of personas from YAML (or JSON, which is YAML).

    Raises:
        ConfigError: The file is missing or broken, an entry lacks something, or a name stands twice.
    """
    import yaml

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error.__class__.__name__}.", remedy=_REMEDY) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where} is not valid YAML.", remedy=_REMEDY) from None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path} holds no list of personas.", remedy=_REMEDY)
    found = tuple(_persona(entry, place, path) for place, entry in enumerate(entries, start=1))
    names = [persona.name for persona in found]
    for place, name in enumerate(names, start=1):
        if names.index(name) + 1 < place:
            raise ConfigError(
                f"{path}: persona {place} has the name of persona {names.index(name) + 1}.", remedy=_REMEDY
            )
    return found


def _persona(entry: object, place: int, path: Path) -> Persona:
    if not isinstance(entry, dict):
        raise ConfigError(f"{path}: persona {place} is no entry with name and about.", remedy=_REMEDY)
    for key in ("name", "about"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise ConfigError(f"{path}: persona {place} has no {key!r}.", remedy=_REMEDY)
    unknown = sorted(map(str, entry.keys() - {"name", "about"}))
    if unknown:
        raise ConfigError(f"{path}: persona {place} has an unknown key {unknown[0]!r}.", remedy=_REMEDY)
    return Persona(entry["name"].strip(), " ".join(entry["about"].split()))
