from pathlib import Path

import pytest

from posology.config import Config, load, parse_dose, parse_doses, parse_seeds
from posology.errors import ConfigError


def test_doses_are_shares_or_percentages_sorted_and_with_zero():
    assert parse_doses("30%,0.1, 1") == [0.0, 0.1, 0.3, 1.0]
    assert parse_doses([0.5, "10%"]) == [0.0, 0.1, 0.5]
    assert parse_doses("") == [0.0]


@pytest.mark.parametrize("value", ["1.2", "-0.1", "150%", "much"])
def test_a_dose_outside_its_range_is_refused(value):
    with pytest.raises(ValueError, match="dose"):
        parse_dose(value)


@pytest.mark.parametrize(("value", "seeds"), [(3, [0, 1, 2]), ("2", [0, 1]), ("7,3", [3, 7]), ([4], [4])])
def test_seeds_are_a_number_or_a_list(value, seeds):
    assert parse_seeds(value) == seeds


def test_a_file_gives_every_setting_and_anchors_its_paths(tmp_path):
    file = tmp_path / "posology.yaml"
    file.write_text("data: {real: data/r.jsonl}\nmix: {doses: [0.2], design: replace}\nout: runs/a\n")
    config = load(file, {"sweep.seeds": "2", "data.docs": None})
    assert config.data.real == tmp_path / "data" / "r.jsonl"
    assert config.out == tmp_path / "runs" / "a"
    assert config.mix.doses == [0.0, 0.2] and config.mix.design == "replace"
    assert config.sweep.seeds == [0, 1]


def test_a_flag_wins_over_the_file_and_is_relative_to_the_working_directory(tmp_path):
    file = tmp_path / "posology.yaml"
    file.write_text("data: {real: a.jsonl}\n")
    assert load(file, {"data.real": Path("b.jsonl")}).data.real == Path("b.jsonl")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mix: {dosis: [0.1]}", "did you mean 'doses'"),
        ("mix: {doses: [3]}", "outside 0..1"),
        ("sweep: {jobs: 0}", "sweep.jobs"),
        ("text: {roles: [customer]}", "unknown roles"),
        ("data: [1", "line 1"),
        ("just text", "sections"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    file = tmp_path / "posology.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load(file)


def test_all_problems_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        load(None, {"mix.doses": "7", "sweep.jobs": -1})
    assert "mix.doses" in str(caught.value) and "sweep.jobs" in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "none.yaml")


def test_the_template_of_init_is_the_defaults():
    import posology

    template = Path(posology.__file__).parent / "templates" / "posology.yaml"
    told, default = load(template).model_dump(), Config().model_dump()
    for section in (
        "text",
        "split",
        "embedding",
        "gaps",
        "generate",
        "prices",
        "verify",
        "mix",
        "sweep",
        "report",
        "card",
    ):
        assert told[section] == default[section], section
