import pytest

from posology.errors import ModelError, UsageError
from posology.models import weights


def lay(tiny):
    tiny.folder.mkdir(parents=True)
    for name, content in tiny.contents.items():
        (tiny.folder / name).write_bytes(content)


def states():
    return [row.state for row in weights.listing()]


def test_missing(tiny):
    assert states() == ["missing"]
    with pytest.raises(ModelError, match="missing") as caught:
        weights.path("minilm")
    assert caught.value.remedy == "Run: posology models pull minilm."
    assert weights.verify("minilm") == [("net.bin", False, "missing"), ("words.json", False, "missing")]


def test_ready(tiny):
    lay(tiny)
    assert states() == ["ready"]
    assert (
        weights.path("minilm") == {name: tiny.folder / name for name in tiny.contents} == weights.checked_path("minilm")
    )
    assert all(check.ok and not check.detail for check in weights.verify("minilm"))
    (row,) = weights.listing()
    assert (row.name, row.size, row.licence) == ("minilm", tiny.model.size, "none")


def test_one_of_two_is_missing(tiny):
    lay(tiny)
    (tiny.folder / "words.json").unlink()
    assert states() == ["missing"]


def test_cut_short(tiny):
    lay(tiny)
    (tiny.folder / "net.bin").write_bytes(b"short")
    assert states() == ["damaged"]
    with pytest.raises(ModelError, match="damaged"):
        weights.path("minilm")
    assert weights.verify("minilm")[0] == ("net.bin", False, f"5 bytes instead of {len(tiny.contents['net.bin'])}")


def test_a_flipped_bit_is_found_by_hashing_alone(tiny):
    lay(tiny)
    content = bytearray(tiny.contents["net.bin"])
    content[1234] ^= 1
    (tiny.folder / "net.bin").write_bytes(content)
    assert states() == ["ready"]
    assert [check.ok for check in weights.verify("minilm")] == [False, True]
    with pytest.raises(ModelError, match=r"net\.bin is damaged.*sha256"):
        weights.checked_path("minilm")


def test_a_folder_in_place_of_a_file(tiny):
    lay(tiny)
    (tiny.folder / "net.bin").unlink()
    (tiny.folder / "net.bin").mkdir()
    assert not weights.verify("minilm")[0].ok
    with pytest.raises(ModelError):
        weights.path("minilm")


@pytest.mark.parametrize("ask", [weights.path, weights.checked_path, weights.verify])
def test_unknown_models(tiny, ask):
    with pytest.raises(UsageError):
        ask("../../etc")
