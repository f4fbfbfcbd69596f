import re
from pathlib import Path

from posology.report.pages import DATA_DOCS, PAGES, link_pages

BARE = '<header><nav class="pages" aria-label="Pages of this run"></nav></header><nav>own</nav>'


def page(run, name, content=BARE):
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_text(content, encoding="utf-8")
    return run / name


def targets(file):
    links = re.findall(r'href="([^"]+)"', file.read_text(encoding="utf-8"))
    return {(file.parent / link).resolve() for link in links}


def test_every_page_leads_to_every_other(tmp_path):
    files = [page(tmp_path, name) for name in PAGES]
    link_pages(tmp_path)
    for file in files:
        assert targets(file) == {other.resolve() for other in files} - {file.resolve()}
        text = file.read_text(encoding="utf-8")
        assert text.count('aria-current="page"') == 1
        assert text.endswith("</nav></header><nav>own</nav>")


def test_links_come_and_go_with_the_pages(tmp_path):
    report, loop = (page(tmp_path, name) for name in ("report/report.html", "recurse/recursion.html"))
    collapse = tmp_path / "collapse" / "collapse.html"
    link_pages(tmp_path)
    assert targets(report) == {loop.resolve()}
    page(tmp_path, "collapse/collapse.html")
    link_pages(tmp_path)
    assert targets(report) == {loop.resolve(), collapse.resolve()}
    once = report.read_bytes()
    link_pages(tmp_path)
    assert report.read_bytes() == once
    loop.unlink()
    collapse.unlink()
    link_pages(tmp_path)
    assert report.read_text(encoding="utf-8") == BARE


def test_a_page_without_a_place_and_a_lone_page_stay_as_they_are(tmp_path):
    other = page(tmp_path, "collapse/collapse.html", "<p>of an older version</p>")
    lone = page(tmp_path / "lone", "report/report.html")
    link_pages(tmp_path)
    link_pages(tmp_path / "lone")
    link_pages(tmp_path / "none")
    assert other.read_text(encoding="utf-8") == "<p>of an older version</p>"
    assert lone.read_text(encoding="utf-8") == BARE


def test_every_template_has_a_place():
    import posology.monitor
    import posology.report

    places = [Path(posology.report.__file__).parent / "templates" / f"{name}.html.j2"
              for name in ("report", "collapse", "recursion", "monitor")]  # fmt: skip
    places.append(Path(posology.monitor.__file__).parent / "templates" / "docs_bar.html.j2")
    for file in places:
        assert file.read_text(encoding="utf-8").count('<nav class="pages"') == 1, file.name


def test_the_data_docs_are_where_great_expectations_writes_them():
    from posology.monitor.great import DOCS

    assert DATA_DOCS == f"monitor/{DOCS.as_posix()}"
