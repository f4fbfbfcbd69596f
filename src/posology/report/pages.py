"""The pages of a run folder, and the links from each to the others.

Pages are made at different times by different commands, some from texts that are stored nowhere else. So each has an
empty place for links, and whoever writes one has the places of all of them filled in anew. Links are relative: the
folder can be moved, and opened as files.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, relpath

from posology import store

REPORT = "report/report.html"
DATA_DOCS = "monitor/gx/uncommitted/data_docs/local_site/index.html"
PAGES = {
    REPORT: "Dose-response",
    "collapse/collapse.html": "Collapse",
    "recurse/recursion.html": "Self-consuming loop",
    "monitor/index.html": "Drift over time",
    DATA_DOCS: "Data Docs",
}

_PLACE = re.compile(r'(<nav class="pages"[^>]*>).*?(</nav>)', re.DOTALL)


def link_pages(run: Path) -> None:
    """Lets every page of a run link to the others that are there.

    Args:
        run: The run folder.

    Raises:
        StoreError: A page cannot be written.
    """
    there = [page for page in PAGES if (run / page).is_file()]
    for page in there:
        old = (run / page).read_text(encoding="utf-8", errors="replace")
        new = _PLACE.sub(rf"\g<1>{_links(page, there)}\g<2>", old, count=1)
        if new != old:
            with store.writing(run / page) as handle:
                handle.write(new)


def _links(page: str, there: list[str]) -> str:
    """The links of one page; none if it is alone."""
    if there == [page]:
        return ""
    return " ".join(
        f'<b aria-current="page">{PAGES[other]}</b>'
        if other == page
        else f'<a href="{relpath(other, dirname(page))}">{PAGES[other]}</a>'
        for other in there
    )
