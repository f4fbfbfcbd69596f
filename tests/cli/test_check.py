"""posology check looks at a generation, too, before anything is spent."""

import pytest

from shop_files import write_shop


@pytest.fixture
def settings(tmp_path):
    write_shop(tmp_path)

    def write(generate):
        place = tmp_path / "posology.yaml"
        place.write_text(f"data: {{real: real.jsonl}}\nembedding: {{encoder: lexical}}\ngenerate: {{{generate}}}\n")
        return place

    return write


def test_a_missing_key_is_named(posology, settings, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    place = settings("model: 'openai:some-model'")
    done = posology("check", "--config", place)
    assert done.code == 2 and "OPENAI_API_KEY" in done.err
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    done = posology("check", "--config", place)
    assert done.code == 0 and "generation: some-model, mode dialogue" in done.out


def test_a_server_may_want_no_key(posology, settings, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = posology("check", "--config", settings("model: 'openai:m', base_url: 'http://127.0.0.1:1/v1'"))
    assert done.code == 0 and "may want none" in done.out


def test_a_broken_template_and_list_of_personas_are_found(posology, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "dialogue.md.j2").write_text("{{ nobody_knows_this }}")
    done = posology("check", "--config", settings("model: 'openai:m', templates: mine"))
    assert done.code == 2 and "dialogue.md.j2" in done.err
    done = posology("check", "--config", settings("model: 'openai:m', personas: none.yaml"))
    assert done.code == 2 and "none.yaml" in done.err


def test_the_embedded_model_may_be_missing(posology, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("POSOLOGY_HOME", str(tmp_path / "home"))
    done = posology("check", "--config", settings("seed: 0"))
    assert done.code == 0 and "generation:" in done.out and "All in order" in done.out
