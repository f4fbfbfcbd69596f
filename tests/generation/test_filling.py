import pytest

from posology.errors import ConfigError
from posology.generation.filling import Templates

VARIABLES = ("row", "language")


@pytest.fixture
def fill(tmp_path):
    """Fills in a template of one's own, once for each row; what block `user` became."""

    def fill(source, *rows, block="user", **others):
        for name, text in {"message": source, **others}.items():
            (tmp_path / f"{name}.md.j2").write_text(text, encoding="utf-8")
        templates = Templates(["message"], VARIABLES, tmp_path)
        return [templates.fill("message", {"row": row, "language": "English"})[block] for row in rows]

    return fill


def test_what_is_set_at_the_top_follows_the_row(fill):
    source = "{% set shout = row.topic | upper %}{% block user %}{{ shout }}!{% endblock %}"
    assert fill(source, {"topic": "a"}, {"topic": "b"}) == ["A!", "B!"]


def test_a_macro_of_ones_own_sees_the_row(fill):
    source = "{% macro topic() %}{{ row.topic }}{% endmacro %}{% block user %}{{ topic() }}{% endblock %}"
    assert fill(source, {"topic": "a"}, {"topic": "b"}) == ["a", "b"]


def test_imports_are_seen_by_blocks_and_with_context_they_follow_the_row(fill):
    parts = "{% macro hello(to) %}Hello {{ to }}{% endmacro %}{% macro own() %}{{ row.topic }}{% endmacro %}"
    plain = "{% from 'mine.md.j2' import hello %}{% block user %}{{ hello(row.topic) }}{% endblock %}"
    assert fill(plain, {"topic": "a"}, {"topic": "b"}, mine=parts) == ["Hello a", "Hello b"]
    context = "{% from 'mine.md.j2' import own with context %}{% block user %}{{ own() }}{% endblock %}"
    assert fill(context, {"topic": "a"}, {"topic": "b"}, mine=parts) == ["a", "b"]


def test_a_block_that_uses_imports_alone_is_filled_in_once(fill):
    parts = "{% macro rule() %}Be kind.{% endmacro %}"
    source = "{% from 'mine.md.j2' import rule %}{% block system %}{{ rule() }}{% endblock %}"
    source += "{% block user %}{{ row.topic }}{% endblock %}"
    assert fill(source, {"topic": "a"}, block="system", mine=parts) == ["Be kind."]
    assert fill(source, {"topic": "a"}, block="prefill", mine=parts) == [""]


def test_a_block_of_a_parent_can_be_built_upon(fill):
    parent = "{% block user %}Write about {{ row.topic }}.{% endblock %}"
    source = "{% extends 'parent.md.j2' %}{% block user %}{{ super() }} Be brief.{% endblock %}"
    assert fill(source, {"topic": "a"}, {"topic": "b"}, parent=parent) == [
        "Write about a. Be brief.",
        "Write about b. Be brief.",
    ]


def test_an_edited_file_does_not_change_a_run(tmp_path):
    file = tmp_path / "message.md.j2"
    file.write_text("{% block user %}one{% endblock %}")
    templates = Templates(["message"], VARIABLES, tmp_path)
    file.write_text("{% block user %}two{% endblock %}")
    assert templates.fill("message", {"row": {}, "language": ""})["user"] == "one"


@pytest.mark.parametrize("reach", ["row.topic.__class__.__mro__", "''.__class__.__subclasses__()"])
def test_a_template_of_ones_own_cannot_reach_out(fill, reach):
    with pytest.raises(ConfigError, match="cannot be filled in"):
        fill(f"{{% block user %}}{{{{ {reach} }}}}{{% endblock %}}", {"topic": "a"})
