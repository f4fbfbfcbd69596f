"""The wording of what judges are asked: templates of the package, and a user's own of the same names, which win."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posology.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_BLANK_LINES = re.compile(r"\n{3,}")


class Wording:
    """Files that say how judges are asked.

    Args:
        folder: A user's own, None for the package's.

    Raises:
        ConfigError: The folder is missing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"the folder of templates {folder} does not exist.", remedy="Check the path.")
        self._folder = folder

    def path(self, name: str) -> Path:
        """Where a file stands: in the user's folder, or else in the package's."""
        own = None if self._folder is None else self._folder / name
        return own if own is not None and own.is_file() else Path(__file__).parent / "templates" / name

    def source(self, name: str) -> str:
        """The text of a file.

        Raises:
            ConfigError: It cannot be read.
        """
        try:
            return self.path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path(name)} cannot be read: {error}.", remedy="It is UTF-8 text.") from None

    def prompt(self, name: str, variables: frozenset[str]) -> Prompt:
        """A template.

        Args:
            name: Of its file.
            variables: Those that it may use.

        Raises:
            ConfigError: It is broken, uses another variable, or has no block `user`.
        """
        from jinja2 import TemplateSyntaxError, meta

        source, where = self.source(name), f"template {self.path(name)}"
        try:
            tree = self._environment.parse(source)
            unknown = meta.find_undeclared_variables(tree) - variables
            template = self._environment.from_string(source)
        except TemplateSyntaxError as error:
            raise ConfigError(f"{where}, line {error.lineno}: {error.message}.", remedy="Correct it.") from None
        if unknown:
            known = ", ".join(sorted(variables))
            raise ConfigError(f"{where} uses the unknown variable {min(unknown)!r}.", remedy=f"Known are {known}.")
        if "user" not in template.blocks:
            raise ConfigError(f"{where} has no block 'user'.", remedy="Add {% block user %}.")
        return Prompt(template, where)

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        return ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )


class Prompt:
    """A template with a block a message: `system`, which it may lack, and `user`.

    Args:
        template: The template.
        where: Its name, for errors.
    """

    def __init__(self, template: Template, where: str) -> None:
        self._template, self._where = template, where

    def messages(self, variables: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """Role and content of each message.

        Raises:
            ConfigError: It cannot be filled in.
        """
        from jinja2 import TemplateError

        try:
            context = self._template.new_context(dict(variables))
            texts = {
                role: _BLANK_LINES.sub("\n\n", "".join(self._template.blocks[role](context))).strip()
                for role in ("system", "user")
                if role in self._template.blocks
            }
        except TemplateError as error:
            raise ConfigError(f"{self._where} cannot be filled in: {error.message}.", remedy="Correct it.") from None
        return tuple((role, text) for role, text in texts.items() if text)
