"""A model that says what it is told to: for tests of code that calls models, without a network and without chance.

Scripted(["first reply", "second reply"])          in the order of the calls
Scripted({"refund": "reply A", "": "reply B"})     the first key that the request contains
Scripted(function)                                 function(request, rng) -> text or Reply, or raises ModelCallError
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posology.errors import ConfigError
from posology.llm.contract import ChatRequest, ErrorKind, ModelCallError, Reply, Usage
from posology.llm.limits import estimate_tokens

if TYPE_CHECKING:
    import numpy as np

Function = Callable[[ChatRequest, "np.random.Generator"], "str | Reply"]


class Scripted:
    """A deterministic model.

    Args:
        script: Replies in order, replies by a text that the request contains, or a function. The function's random
            numbers depend on the seed and the request alone, not on the order of calls; it may be `async`.
        name: Part of its identity in the ledger: another script wants another name.
        seed: Of the random numbers.
        faults: Shares of attempts, by kind of error, that fail before the script is asked; decided by seed, request and
            attempt, so that a later attempt at the same request may pass.
        latency: Seconds that a reply takes.
    """

    def __init__(
        self,
        script: Sequence[str | Reply] | Mapping[str, str | Reply] | Function,
        *,
        name: str = "script",
        seed: int = 0,
        faults: Mapping[ErrorKind, float] | None = None,
        latency: float = 0.0,
    ) -> None:
        self.name = name
        self.provider = f"scripted {name} {seed}"
        self.calls = 0
        self._script = script
        self._seed = seed
        self._faults = dict(faults or {})
        self._latency = latency
        self._next = 0
        self._attempts: Counter[str] = Counter()

    async def complete(self, request: ChatRequest) -> Reply:
        """Answers one request.

        Raises:
            ModelCallError: A fault, or the script has nothing to say.
        """
        self.calls += 1
        if self._latency:
            await asyncio.sleep(self._latency)
        if self._faults:
            self._fail_perhaps(request)
        said = self._say(request)
        if inspect.isawaitable(said):
            said = await said
        if isinstance(said, Reply):
            return said
        if not isinstance(said, str):
            raise ConfigError(f"the script {self.name} gave a {type(said).__name__}.", remedy="It must give text.")
        usage = Usage(estimate_tokens(request)[0], max(1, len(said.encode("utf-8", "replace")) // 4))
        return Reply(said, usage, "stop", self.name, self._latency)

    async def close(self) -> None:
        """Nothing to release."""

    def _say(self, request: ChatRequest) -> Any:  # noqa: ANN401 - whatever a user's script gives; checked by `complete`
        if callable(self._script):
            return self._script(request, self._random(request.key(self.provider)))
        if isinstance(self._script, Mapping):
            whole = "\n".join(content for _, content in request.messages)
            for part, said in self._script.items():
                if part in whole:
                    return said
            raise _silent(f"the script {self.name} has no text that the request contains.")
        if self._next == len(self._script):
            raise _silent(f"the script {self.name} has only {self._next} replies.")
        self._next += 1
        return self._script[self._next - 1]

    def _fail_perhaps(self, request: ChatRequest) -> None:
        key = request.key(self.provider)
        self._attempts[key] += 1
        drawn = self._random(f"{key} {self._attempts[key]}").random()
        for kind, share in self._faults.items():
            if drawn < share:
                raise ModelCallError(f"a simulated fault: {kind}.", kind=kind)
            drawn -= share

    def _random(self, what: str) -> np.random.Generator:
        import numpy as np

        digest = hashlib.sha256(f"{self._seed} {what}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _silent(why: str) -> ModelCallError:
    return ModelCallError(why, kind="not_found", remedy="Extend the script.")


def load(spec: str, *, seed: int = 0) -> Scripted:
    """A scripted model by name.

    Args:
        spec: `module:function`, `file.py:function`, or a `.json` file with a list or an object of replies.
        seed: Of the function's random numbers.

    Raises:
        ConfigError: There is no such file, module or function, or it is none.
    """
    if spec.endswith(".json"):
        return Scripted(_replies(Path(spec)), name=spec, seed=seed)
    module, colon, name = spec.rpartition(":")
    if not colon or not module or not name:
        raise ConfigError(
            f"scripted:{spec} is no script.", remedy="Write scripted:module:function or scripted:FILE.json."
        )
    function = getattr(_module(module), name, None)
    if not callable(function):
        raise ConfigError(f"{module} has no function {name!r}.", remedy="Check its name.")
    return Scripted(function, name=spec, seed=seed)


def _replies(path: Path) -> list[str] | dict[str, str]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON.", remedy="It holds a list or an object of texts.") from error
    said = value.values() if isinstance(value, dict) else value
    if not isinstance(value, list | dict) or not all(isinstance(text, str) for text in said):
        raise ConfigError(f"{path} is no script.", remedy="It holds a list of texts, or an object of texts.")
    return value


def _module(name: str) -> object:
    """A module by name (also from the working directory) or by file."""
    try:
        if not name.endswith(".py"):
            sys.path.append(str(Path.cwd()))
            try:
                return importlib.import_module(name)
            finally:
                sys.path.pop()
        found = importlib.util.spec_from_file_location(Path(name).stem, name)
        assert found is not None and found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
    except (ImportError, OSError, SyntaxError) as error:
        raise ConfigError(f"{name} cannot be imported: {error}.", remedy="Name a module or a .py file.") from error
    return module
