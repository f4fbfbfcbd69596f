import re

import pytest

from posology.errors import UsageError
from posology.models.catalogue import MODELS, get


@pytest.mark.parametrize("name", MODELS)
def test_a_record_is_complete(name):
    model = get(name)
    assert model.name == name and model.purpose and model.licence
    assert model.size == sum(file.size for file in model.files) > 1_000_000
    assert model.transfer == sum(file.wheel_size for file in model.files)
    for file in model.files:
        for digest in (file.sha256, file.wheel_sha256):
            assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert "/" not in file.file
        assert file.wheel.startswith(f"{file.package.replace('-', '_')}-{file.version}-py3-none-any")
        assert file.member.endswith(f"/{file.file}")


def test_file_names_and_hashes_are_distinct():
    files = [file for model in MODELS.values() for file in model.files]
    assert len({file.sha256 for file in files}) == len({file.wheel_sha256 for file in files}) == len(files)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"'gpt'.*minilm, smollm2"):
        get("gpt")
