"""Templates: found, checked before anything is spent, and filled in thousands of times.

Templates are Jinja2 files with the blocks `system`, `user` and, where the reply is to continue a text, `prefill`. A
user's folder may hold files of the same names, which win over the package's; then all of them run in a sandbox.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posology.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes
    from jinja2.runtime import Context

BLOCKS = ("system", "user", "prefill")
_SHARED = "parts"
_VERSION = re.compile(r"version:\s*(\w+)")
_BLANK_LINES = re.compile(r"\n{3,}")


class Templates:
    """Some templates, by name.

    Args:
        names: Which, without `.md.j2`.
        variables: The names that they may use.
        folder: A user's own templates, None for the package's.

    Raises:
        ConfigError: A template is broken, lacks a block or uses a variable that does not exist.
    """

    def __init__(self, names: Collection[str], variables: Collection[str], folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"the folder of templates {folder} does not exist.", remedy="Check the path.")
        self._folder = folder
        self._known = frozenset(variables)
        self._imported: dict[str, Mapping[str, Any]] = {}
        self._constant: dict[str, dict[str, str]] = {}
        self._templates = {name: self._load(name) for name in names}

    def fill(self, name: str, variables: Mapping[str, Any]) -> dict[str, str]:
        """The text of each of `BLOCKS`, empty where there is none.

        Args:
            name: Of the template.
            variables: A value for each name that templates may use.

        Raises:
            ConfigError: It asks for something that does not exist.
        """
        from jinja2 import TemplateError

        template = self._templates[name]
        try:
            context = self._context(name, variables)
            return {
                block: self._constant[name].get(block) or _text(template, block, context)
                if block in template.blocks
                else ""
                for block in BLOCKS
            }
        except TemplateError as error:
            raise ConfigError(
                f"template {template.filename} cannot be filled in: {error.message}.", remedy="Correct the template."
            ) from None

    @cached_property
    def version(self) -> str:
        """Names, versions and content of the templates, for provenance: `dialogue-1-0a1b2c3d`."""
        named = []
        for name in self._templates:
            sources = [self._source(f"{part}.md.j2") for part in (name, _SHARED)]
            stated = _VERSION.search(sources[0])
            digest = hashlib.sha256("\0".join(sources).encode()).hexdigest()[:8]
            named.append(f"{name}-{stated[1] if stated else '0'}-{digest}")
        return "+".join(named)

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        own = [FileSystemLoader(self._folder)] if self._folder is not None else []
        kind = ImmutableSandboxedEnvironment if own else Environment
        return kind(
            loader=ChoiceLoader([*own, PackageLoader("posology.generation")]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            auto_reload=False,  # a template that is edited meanwhile must not change the prompts of a run
        )

    def _load(self, name: str) -> Template:
        from jinja2 import TemplateError, TemplateSyntaxError, meta

        file = f"{name}.md.j2"
        try:
            template = self._environment.get_template(file)
            tree = self._environment.parse(self._source(file))
            unknown = meta.find_undeclared_variables(tree) - self._known - _set_by_itself(tree)
        except TemplateSyntaxError as error:
            where = f"{error.filename or error.name or file}, line {error.lineno}"
            raise ConfigError(f"template {where}: {error.message}.", remedy="Correct the template.") from None
        except (TemplateError, UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"template {file} cannot be loaded: {error}.", remedy="Correct the template.") from None
        if unknown:
            raise ConfigError(
                f"template {template.filename} uses the unknown variable {min(unknown)!r}.",
                remedy=f"Known are {', '.join(sorted(self._known))}.",
            )
        if "user" not in template.blocks:
            raise ConfigError(f"template {template.filename} has no block 'user'.", remedy="Add {% block user %}.")
        self._prepare(name, template, tree)
        return template

    def _prepare(self, name: str, template: Template, tree: nodes.Template) -> None:
        """Does once what is the same for every row: the imports, and the blocks that use nothing else."""
        from jinja2 import TemplateError

        self._constant[name] = {}
        if not _only_imports(tree):
            return
        with suppress(TemplateError):  # whoever fills it in is told
            context = _run(template, template.new_context())
            self._imported[name] = context.vars
            for block, used in _used(tree).items():
                if block in BLOCKS and used <= context.vars.keys():
                    self._constant[name][block] = _text(template, block, context)

    def _context(self, name: str, variables: Mapping[str, Any]) -> Context:
        """What the blocks of a template see: the variables, and what the file imports or sets at its top."""
        template, imported = self._templates[name], self._imported.get(name)
        if imported is None:
            return _run(template, template.new_context(dict(variables)))
        return template.new_context({**template.globals, **variables, **imported}, shared=True)

    def _source(self, file: str) -> str:
        assert self._environment.loader is not None
        return self._environment.loader.get_source(self._environment, file)[0]


def _run(template: Template, context: Context) -> Context:
    """The context once the file was gone through from the top; its blocks stay silent meanwhile."""
    context.blocks = {name: [_nothing, *found] for name, found in context.blocks.items()}
    for _ in template.root_render_func(context):
        pass
    for found in context.blocks.values():
        if found[0] is _nothing:
            del found[0]
    return context


def _nothing(_: Context) -> Iterator[str]:
    return iter(())


def _text(template: Template, block: str, context: Context) -> str:
    text = "".join(template.blocks[block](context))
    return (_BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text).strip()


def _set_by_itself(tree: nodes.Template) -> set[str]:
    """Names that a template imports or sets; blocks see them, though the search for undeclared ones does not know."""
    from jinja2 import nodes

    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    names |= {node.name for node in tree.find_all(nodes.Macro)} | {node.target for node in tree.find_all(nodes.Import)}
    for node in tree.find_all(nodes.FromImport):
        names |= {name if isinstance(name, str) else name[1] for name in node.names}
    return names


def _only_imports(tree: nodes.Template) -> bool:
    """Whether nothing but text, blocks and imports stands at the top, so that it is the same whatever the variables."""
    from jinja2 import nodes

    return all(
        isinstance(node, nodes.Block)
        or (isinstance(node, nodes.Import | nodes.FromImport) and not node.with_context)
        or (isinstance(node, nodes.Output) and all(isinstance(part, nodes.TemplateData) for part in node.nodes))
        for node in tree.body
    )


def _used(tree: nodes.Template) -> dict[str, set[str]]:
    """The names that each block uses."""
    from jinja2 import nodes

    return {
        block.name: {node.name for node in block.find_all(nodes.Name) if node.ctx == "load"}
        for block in tree.find_all(nodes.Block)
    }
