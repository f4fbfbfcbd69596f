"""What all tests share. No test touches the user's own cache folder."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from posology.models.home import home
from posology.models.weights import verify

REAL_HOME = home()

# How long an example takes says more about the machine than about the code.
settings.register_profile("posology", deadline=None)
settings.load_profile("posology")


@pytest.fixture(scope="session", autouse=True)
def posology_home(tmp_path_factory):
    """A cache folder of the tests' own; the bundled weights are linked into it if they were pulled."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "models").mkdir()
    if (REAL_HOME / "models" / "minilm").is_dir():
        (folder / "models" / "minilm").symlink_to(REAL_HOME / "models" / "minilm")
    before = os.environ.get("POSOLOGY_HOME")
    os.environ["POSOLOGY_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["POSOLOGY_HOME"]
    else:
        os.environ["POSOLOGY_HOME"] = before


@pytest.fixture
def minilm_home(posology_home):
    """The cache folder, with the encoder in it; skips where it was not pulled."""
    if not all(check.ok for check in verify("minilm")):
        pytest.skip("the bundled encoder is not here: posology models pull minilm")
    return posology_home


@pytest.fixture(scope="session")
def data_folder():
    """The folder of real data sets; skips where POSOLOGY_DATA does not name one."""
    folder = os.environ.get("POSOLOGY_DATA")
    if not folder or not Path(folder, "banking77").is_dir():
        pytest.skip("POSOLOGY_DATA does not name the folder of data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def shop():
    """The folder of the fictional sample shop."""
    return Path(__file__).parent.parent / "examples" / "larkfell"
