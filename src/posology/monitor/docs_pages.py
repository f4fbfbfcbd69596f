"""How Data Docs pages look: as Great Expectations renders them, but readable without a network, and linked to our own.

Its templates fetch style sheets and scripts from several servers, and its index is empty without them. These views,
named in the settings of the site, take those links out and put a few lines of style in, list the results in a plain
table, and add a way back to the monitor's own page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from great_expectations.render.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2 import Environment, PackageLoader, StrictUndefined

_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE)
_ELSEWHERE = re.compile(r"<link\b[^>]*>|<img\b[^>]*>", re.IGNORECASE)
_STYLE = re.compile(r"<style\b.*?</style>", re.DOTALL | re.IGNORECASE)
_FOOTER = re.compile(r"<footer\b.*?</footer>", re.DOTALL | re.IGNORECASE)
_HEAD = re.compile(r"<head(\s[^>]*)?>", re.IGNORECASE)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_TAGS = re.compile(r"<[^>]*>")


def _environment() -> Environment:
    return Environment(loader=PackageLoader("posology.monitor"), autoescape=True, undefined=StrictUndefined)


def offline(page: str, depth: int) -> str:
    """A page without anything that comes from a network, with our style and the way back.

    No script may run on it either: should anything of a conversation ever get into it unescaped, a policy at its top
    forbids browsers to run it.

    Args:
        page: HTML as Great Expectations renders it.
        depth: How many folders below the site's first page it lies.
    """
    for pattern in (_SCRIPT, _STYLE, _ELSEWHERE, _FOOTER):
        page = pattern.sub("", page)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    page = _HEAD.sub(lambda head: f"{head[0]}{policy}", page, count=1)
    head = _environment().get_template("docs_head.html.j2").render()
    bar = _environment().get_template("docs_bar.html.j2").render(up="../" * depth)
    page = page.replace("</head>", f"{head}</head>", 1)
    return re.sub(r"<body([^>]*)>", lambda body: f"{body[0]}{bar}", page, count=1)


class PageView(DefaultJinjaPageView):  # type: ignore[misc]
    """A suite, or the result of one validation."""

    def render(self, document: Any, template: Any = None, **settings: Any) -> str:  # noqa: ANN401
        """The page as HTML."""
        page = super().render(document, template, **settings)
        kind = getattr(document, "renderer_type", "")
        return offline(page, 1 if kind == "ExpectationSuitePageRenderer" else 4)


class IndexView(DefaultJinjaIndexPageView):  # type: ignore[misc]
    """The list of results and suites."""

    def render(self, document: Any, template: Any = None, **settings: Any) -> str:  # noqa: ANN401
        """The page as HTML."""
        tables = list(_tables(document.to_json_dict()))
        results = [row for row in tables if "run_name" in row]
        suites = [row for row in tables if "run_name" not in row]
        page = _environment().get_template("docs_index.html.j2").render(results=results, suites=suites)
        return offline(page, 0)


def _tables(block: object) -> Iterator[dict[str, str]]:
    """The rows of every table in a rendered document: names of columns, and plain text."""
    if isinstance(block, list):
        for item in block:
            yield from _tables(item)
    elif isinstance(block, dict):
        for row in block.get("table_data", ()):
            yield {key: _plain(value) for key, value in row.items()}
        for value in block.values():
            yield from _tables(value)


def _plain(value: Any) -> str:  # noqa: ANN401
    """Text of a cell: a template with its parameters filled in, or what it is."""
    if isinstance(value, dict):
        inner = value.get("string_template", value)
        text = str(inner.get("template", "")) if isinstance(inner, dict) else str(inner)
        for name, filled in (inner.get("params", {}) if isinstance(inner, dict) else {}).items():
            text = text.replace(f"${name}", str(filled))
        return text
    return _TAGS.sub("", str(value))
