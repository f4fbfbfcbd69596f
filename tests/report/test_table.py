import io

import pytest
from rich.console import Console

from posology.errors import StoreError
from posology.report import table


def printed(value, width=100, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(table.render(value))
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("status", "word"),
    [("better", "Better."), ("no_worse", "No worse."), ("inconclusive", "Inconclusive."), ("harmful", "Harmful.")],
)
@pytest.mark.parametrize("width", [100, 80])
def test_the_status_is_a_word_and_nothing_is_cut_off(document, status, word, width):
    said = printed(document(status), width)
    assert said.startswith(word)
    assert "…" not in said
    assert "\u00a0" not in said
    assert max(len(line.rstrip()) for line in said.splitlines()) <= width
    assert said.count("\n  ") + said.count("\n> ") >= 13, "every arm has its row"


def test_a_wide_terminal_shows_more_columns(document):
    assert "vs random" in printed(document(), 100)
    assert "vs random" not in printed(document(), 80)
    narrow = printed(document(), 52)
    assert "vs real only" in narrow and "synthetic " not in narrow.splitlines()[3]


def test_the_row_of_the_recommended_dose_is_marked(document):
    rows = [line for line in printed(document()).splitlines() if line.startswith("> ")]
    assert rows[0].split()[:3] == ["> 30%".split()[0], "30%", "selected"]
    assert "+15.0 [10.2, 19.8]" in rows[0]


def test_warnings_come_first_and_are_not_markup(document):
    said = printed(document(warnings=["[red]overridden[/red] & so on"]))
    assert said.startswith("Warning: [red]overridden[/red] & so on")


def test_columns_that_say_nothing_are_left_out(document):
    said = printed(document("inconclusive", optional=False, controls=False, tail=False))
    assert "tail" not in said
    assert "vs random" not in said
    assert "Caution: This is not a proof" in said


def test_a_short_pool_is_marked(document):
    said = printed(document(pool=600))
    assert "23.1%*" in said
    assert "* the dose reached; asked for were 30%, 50% and 70%." in said


def test_what_is_no_result_is_refused():
    with pytest.raises(StoreError):
        table.render({"arms": []})
