import html
import json
import re
from html.parser import HTMLParser

import pytest

from posology.errors import StoreError
from posology.report import build

VOID = {"meta", "col", "br", "link", "hr", "img", "input"}
SHAPES = {"path", "rect", "circle", "line", "use"}


class Outline(HTMLParser):
    """Checks that tags are balanced, and gathers ids, targets, attributes and text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.targets, self.tags, self.events, self.text = [], [], [], set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src"):
                self.targets.append(value)
            if name.startswith("on"):
                self.events.append(name)
        if tag not in VOID | SHAPES:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID | SHAPES:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.text.append(data)


def outline(page):
    parsed = Outline()
    parsed.feed(page)
    parsed.close()
    assert parsed.open == []
    return parsed


def words(page):
    return " ".join(" ".join(outline(page).text).replace("\u00a0", " ").split())


@pytest.mark.parametrize(
    ("status", "word"),
    [("better", "✓ Better"), ("no_worse", "≈ No worse"), ("inconclusive", "? Inconclusive"), ("harmful", "✕ Harmful")],
)
def test_the_verdict_stands_in_words(page, status, word):
    said = words(page(status=status))
    assert word in said
    assert ("Caution:" in said) == (status != "better")
    assert said.index(word) < said.index("Smallest difference this holdout resolves") < said.index("All arms")


def test_the_page_needs_nothing_from_elsewhere(page):
    text = page()
    parsed = outline(text)
    assert not re.search(r"https?:|//[a-z]|@import|<script|<link|<img|<iframe", text)
    assert all(target.startswith("#") for target in parsed.targets)
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert "Content-Security-Policy" in text and "default-src 'none'" in text
    assert len(text.encode()) < 500_000


@pytest.mark.parametrize("options", [{}, {"nasty": True, "pool": 600}, {"optional": False, "status": "inconclusive"}])
def test_the_page_is_well_formed(page, options):
    parsed = outline(page(**options))
    assert len(parsed.ids) == len(set(parsed.ids))
    for target in parsed.targets:
        assert target[1:] in parsed.ids


def test_every_section_is_there(page):
    said = words(page())
    for part in (
        "All arms", "Topic by topic", "Confusions that changed", "What was rejected, and why", "Labels saved", "Gaps",
        "Kinds of messages", "Production traffic", "What this holdout can and cannot show", "Method, in plain words",
        "Simultaneous 95 % interval", "Identity", "Timings",
    ):  # fmt: skip
        assert part in said
    assert "it does not start at 0" in said
    assert "inputs › holdout" in said  # noqa: RUF001
    assert "holdout 200 entries" in said, "the ids of the holdout are counted, not listed"


def test_the_numbers_of_an_arm_stand_in_the_table(page):
    said = words(page())
    assert "selected 2,000 857 89.5 [84.0, 95.0] +15.0 [10.2, 19.8] <0.001 +4.2 [1.2, 7.2] 87.5" in said
    assert said.count("random 2,000") == 6


def test_topics_are_sorted_by_change_and_folded(page):
    text = page()
    rows = re.findall(
        r'<td class="n sum">([^<]*)</td>', text[text.index('id="topics"') : text.index('id="confusions"')]
    )
    sizes = [abs(float(row.replace("\u2212", "-"))) for row in rows if row != "\u2013"]
    assert len(rows) == 77
    assert sizes == sorted(sizes, reverse=True)
    assert rows[-1] == "\u2013", "what was not measured comes last"
    assert "<summary>The other 65\u00a0topics</summary>" in text
    assert '<span class="tag">tail</span>' in text


def test_the_users_text_is_escaped_everywhere(page):
    text = page(nasty=True, title="<i>Our</i> & bot", warnings=("<u>overridden</u>",))
    parsed = outline(text)
    assert parsed.tags.isdisjoint({"script", "img", "i", "u"})
    assert parsed.events == []
    said = words(text)
    assert "<script>alert('topic')</script> & \"quotes\"" in said
    assert "<img src=x onerror=alert(1)> & <b>bold</b>" in said
    assert "<i>Our</i> & bot" in said
    assert "退款 & $100$" in said


def test_warnings_stand_on_top_once_and_overrides_first(make_run, document):
    doubled = "11 candidates were near copies of holdout conversations; the generator may have seen them."
    run = make_run(document(warnings=["first", doubled, "same family; overridden by --allow-same-family"]))
    text = build.build(run)
    said = words(text)
    assert said.count(doubled) == 1
    assert said.index("overridden") < said.index("first") < said.index("Add synthetic data")
    assert "Warnings" in said


def test_parts_that_are_missing_are_named(page, make_run):
    said = words(page(status="inconclusive", optional=False, sidecars=False))
    for note in (
        "no results by topic", "no confusions", "no learning curve", "no power figures", "gaps/gaps.json is missing",
        "select/rejected.jsonl is missing", "sweep/manifest.json is missing",
    ):  # fmt: skip
        assert note in said
    run = make_run()
    (run / "gaps/gaps.json").write_text("{")
    (run / "select/rejected.jsonl").write_text("nonsense\n")
    said = words(build.build(run))
    assert "gaps/gaps.json is damaged" in said
    assert "1 line of select/rejected.jsonl could not be read" in said


def test_a_holdout_without_tail_and_a_short_pool_are_explained(page):
    said = words(page(tail=False, pool=600))
    assert "the holdout has no tail topic" in said
    assert "The pool was too small for 3 doses: 30 % reached 23.1 % (257 missing)" in said
    assert "reached 23.1 %" in said


def test_replacing_is_explained(page):
    said = words(page(design="replace", doses=(0.0, 0.3, 0.5, 1.0)))
    assert "The training set keeps its size" in said
    assert "selected 1,400 600" in said
    assert "selected 0 2,000" in said


def test_the_same_files_give_the_same_bytes(make_run, page):
    assert build.build(make_run()) == page()


def test_the_file_is_written_whole(make_run):
    run = make_run()
    path = build.write_report(run, title="Spring sweep")
    assert path == run / "report" / "report.html"
    text = path.read_text(encoding="utf-8")
    assert "<title>Spring sweep: Better</title>" in text
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_half_an_emoji_does_not_stop_the_report(make_run, document):
    value = document(topics=4)
    value["topics"]["rows"][0]["topic"] = "cut \ud83d"
    run = make_run(document(topics=4), sidecars=False)
    (run / "sweep/dose_response.json").write_text(json.dumps(value))
    assert "cut ?" in build.write_report(run).read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"schema_version": 1}', "\x00"])
def test_without_a_result_there_is_no_report(tmp_path, content):
    if content is not None:
        (tmp_path / "sweep").mkdir()
        (tmp_path / "sweep/dose_response.json").write_text(content)
    with pytest.raises(StoreError):
        build.write_report(tmp_path)
    assert not (tmp_path / "report").exists()


def test_the_largest_run_stays_small(make_run, document):
    value = document(topics=3000)
    value["warnings"] = [f"warning {i} " + "x" * 5000 for i in range(200)]
    for row in value["topics"]["rows"]:
        row["topic"] += "_" + "y" * 500
    value["identity"]["settings"] = {str(i): "z" * 1000 for i in range(500)}
    text = build.build(make_run(value))
    assert len(text.encode()) < 3_000_000
    said = words(text)
    assert "2,600 more topics stand in sweep/dose_response.json." in said
    assert "settings 500 entries" in said


def test_odd_manifests_do_no_harm(make_run):
    run = make_run()
    (run / "sweep/manifest.json").write_text('{"timings": {"a": NaN, "b": "x", "c": 1.0}, "warnings": {}, "n_x": null}')
    said = words(build.build(run))
    assert "sweep c 1.0 s" in said


def test_the_style_sheet_prints_everything_and_suits_a_phone(page):
    text = html.unescape(page())
    css = text[text.index("<style>") : text.index("</style>")]
    assert "size: A4" in css
    assert "details::details-content { content-visibility: visible" in css
    assert "@media screen and (max-width: 640px)" in css
    assert "prefers-color-scheme: dark" in css
