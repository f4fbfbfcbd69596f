import pytest

from posology.errors import ConfigError
from posology.generation.personas import Persona, built_in, personas, read_personas


def test_there_are_at_least_sixty_different_personas():
    found = built_in()
    assert len(found) >= 60
    assert len({p.name for p in found}) == len({p.about for p in found}) == len(found)
    assert all(20 <= len(p.about) <= 300 for p in found)


def test_own_personas_come_along_and_win():
    own = (Persona("parent with a toddler", "Mine."), Persona("diver", "Under water."))
    merged = personas(own)
    assert len(merged) == len(built_in()) + 1
    assert own[0] in merged and own[1] in merged
    assert personas(own, with_built_in=False) == own
    with pytest.raises(ConfigError, match="no personas"):
        personas(with_built_in=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- name: a\n  about: [", "line 2"),
        ("", "no list"),
        ("name: a", "no list"),
        ("- just a text", "persona 1 is no entry"),
        ("- {name: a, about: b}\n- {name: c}", "persona 2 has no 'about'"),
        ("- {name: a, about: b, age: 3}", "unknown key 'age'"),
        ("- {name: a, about: b}\n- {name: a, about: c}", "persona 2 has the name of persona 1"),
    ],
)
def test_mistakes_in_a_list_are_named(tmp_path, text, message):
    path = tmp_path / "personas.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_personas(path)


def test_a_missing_or_binary_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_personas(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_personas(tmp_path / "binary.yaml")
