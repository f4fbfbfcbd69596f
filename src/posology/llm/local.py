"""The embedded model: llama.cpp inside this process, through xllamacpp.

Many calls share one context with continuous batching, a slot each; llama.cpp's own loop interleaves them. A call blocks
a thread of ours until its reply is there, so the event loop stays free, and a cancelled call frees its slot at the next
token. The weights are loaded with the first call: a run whose calls are all in the ledger never loads them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from posology.errors import ExtraMissing, ModelError, UsageError
from posology.llm.calls import RAW_LIMIT, well_formed
from posology.llm.contract import COMPLETION, ChatRequest, ErrorKind, FinishReason, ModelCallError, Reply, Usage
from posology.models import catalogue
from posology.models.weights import checked_path, sha256_of

BUNDLED = "smollm2"
MAGIC = b"GGUF"


class LocalModel:
    """A GGUF model in this process. Replies depend on the request alone: without a seed, its hash is the seed.

    Args:
        file: The GGUF file; None (or nothing) for the bundled SmolLM2.
        slots: Calls that are answered at once; more wait, so let the engine have no more in flight. None for 16 with
            the bundled model and 4 with another.
        context: Tokens, prompt and reply together, that one call may have; None for 1,024 and 4,096. Memory grows with
            `slots * context` (550 MB in all for the bundled model).
        threads: For the computation; None for as many as this process may use.
        gpu_layers: Layers on the GPU, where the installed xllamacpp has one; -1 for all.

    Raises:
        ExtraMissing: xllamacpp is not installed.
        ModelError: The bundled weights were not pulled or are damaged, or the file is no GGUF.
        UsageError: A number is not positive.
    """

    def __init__(
        self,
        file: str | Path | None = None,
        *,
        slots: int | None = None,
        context: int | None = None,
        threads: int | None = None,
        gpu_layers: int = 0,
    ) -> None:
        if any(number is not None and number < 1 for number in (slots, context, threads)):
            raise UsageError("slots, context and threads of a local model are at least 1.")
        if importlib.util.find_spec("xllamacpp") is None:
            raise ExtraMissing("xllamacpp", "local")
        self.slots = slots or (4 if file else 16)
        self.context = context or (4096 if file else 1024)
        self._threads = threads or _processors()
        self._gpu_layers = gpu_layers
        self._file, digest = _given(Path(file)) if file else _bundled()
        self.name = self._file.stem
        self.provider = f"local {self._file.name} {digest}"
        self._pool = ThreadPoolExecutor(self.slots, thread_name_prefix="llama")
        self._calls: set[_Call] = set()
        self._lock = threading.Lock()
        self._server: Any = None
        self._closed = False

    async def complete(self, request: ChatRequest) -> Reply:
        """Answers one request. A lone message of the role `COMPLETION` is continued, others are a chat.

        Raises:
            ModelCallError: The prompt does not fit the context, or llama.cpp failed.
            ModelError: The model cannot be loaded.
            UsageError: llama.cpp cannot follow the schema.
        """
        if self._closed:
            raise ModelError(f"the local model {self.name} was closed.")
        call = _Call(request, self.name)
        self._calls.add(call)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, call)
        finally:
            self._calls.discard(call)
            call.cancelled = True  # whoever gave up waiting needs no further tokens

    async def close(self) -> None:
        """Ends the calls in flight and frees the memory; a second call does nothing."""
        self._closed = True
        for call in list(self._calls):
            call.cancelled = True
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        self._server = None

    def _run(self, call: _Call) -> Reply:
        if call.cancelled:
            raise call.cut_short()
        server = self._loaded()
        return call.run(server.handle_completions if call.continues else server.handle_chat_completions)

    def _loaded(self) -> Any:  # noqa: ANN401 - an optional package without types
        with self._lock:
            if self._server is None:
                self._server = self._load()
            return self._server

    def _load(self) -> Any:  # noqa: ANN401
        with _sleeping_threads():
            import xllamacpp
        params = xllamacpp.CommonParams()
        params.model.path = str(self._file)
        params.model_alias = {self.name}
        params.n_parallel = self.slots
        params.n_ctx = self.slots * self.context
        params.n_gpu_layers = self._gpu_layers
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.cache_ram_mib = 0  # else up to 8 GiB of old prompts; each slot keeps its last one anyway
        params.fit_params = False  # the context is what was asked for, or loading fails
        params.ctx_shift = False
        params.warmup = False
        params.verbosity = 0
        params.ui = False
        # xllamacpp always listens on a free port of the loopback address; nobody knows this key.
        params.api_keys = [secrets.token_hex(32)]
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise ModelError(
                f"llama.cpp cannot load {self._file.name} with {self.slots} slots of {self.context} tokens.",
                remedy="Check that the file is whole and of a known architecture, or ask for fewer slots or tokens.",
            ) from error
        server.handle_completions({"prompt": ".", "n_predict": 1})  # waits until its loop runs: ending it before hangs
        return server


class _Call:
    """One request on its way through llama.cpp, piece by piece."""

    def __init__(self, request: ChatRequest, name: str) -> None:
        self.continues = [role for role, _ in request.messages] == [COMPLETION]
        self.cancelled = False
        self._body = _body(request, continues=self.continues)
        self._model = name
        self._pieces: list[str] = []
        self._finish: FinishReason | None = None
        self._usage = Usage()
        self._error: dict[str, Any] | None = None

    def run(self, handle: Callable[[str, Callable[[str], bool]], None]) -> Reply:
        """Blocks until the reply is complete.

        Raises:
            ModelCallError: There is none.
            UsageError: The schema cannot be followed.
        """
        start = time.perf_counter()
        try:
            handle(self._body, self._receive)
        except ValueError as error:  # raised before anything is computed
            raise UsageError(
                f"llama.cpp cannot prepare a request for {self._model}.",
                remedy="Check the schema, and whether the file's chat template takes such messages.",
            ) from error
        if self._error is not None:
            raise self._failure(self._error)
        if self._finish is None:
            raise self.cut_short()
        return Reply(
            well_formed("".join(self._pieces)), self._usage, self._finish, self._model, time.perf_counter() - start
        )

    def cut_short(self) -> ModelCallError:
        """What a call ends with when the model is closed before its reply is complete."""
        return ModelCallError(f"{self._model} was closed before the reply was complete.", kind="connection")

    def _receive(self, chunk: str) -> bool:
        """Takes a piece of the reply; llama.cpp stops when this is true."""
        value = json.loads(chunk)
        if "error" in value:
            self._error = value["error"]
            return True
        for choice in value["choices"]:
            self._pieces.append(choice["text"] if self.continues else choice["delta"].get("content") or "")
            if choice["finish_reason"] is not None:
                self._finish = choice["finish_reason"] if choice["finish_reason"] in ("stop", "length") else "other"
        if (usage := value.get("usage")) is not None:
            cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
            self._usage = Usage(usage["prompt_tokens"], usage["completion_tokens"], cached)
        return self.cancelled

    def _failure(self, error: dict[str, Any]) -> ModelCallError:
        raw = json.dumps(error)[:RAW_LIMIT]
        if error.get("type") == "exceed_context_size_error":
            has, takes = error.get("n_prompt_tokens", "?"), error.get("n_ctx", "?")
            return ModelCallError(
                f"the prompt has {has} tokens, and {self._model} takes {takes} a call.",
                kind="context_too_long",
                raw=raw,
                remedy="Shorten the prompt, or allow a longer context.",
            )
        kind: ErrorKind = "overloaded" if error.get("code") == 503 else "malformed"
        return ModelCallError(
            f"llama.cpp failed on a request for {self._model} (code {error.get('code', '?')}).", kind=kind, raw=raw
        )


def _body(request: ChatRequest, *, continues: bool) -> str:
    """The request in llama.cpp's own words."""
    body: dict[str, Any] = {**request.extra, "max_tokens": request.max_tokens, "seed": _seed(request)}
    body |= {"stream": True, "stream_options": {"include_usage": True}, "cache_prompt": True}
    if continues:
        body["prompt"] = request.messages[0][1]
    else:
        body["messages"] = [{"role": role, "content": content} for role, content in request.messages]
    for name in ("temperature", "top_p"):
        if getattr(request, name) is not None:
            body[name] = getattr(request, name)
    if request.stop:
        body["stop"] = list(request.stop)
    if request.schema is not None and continues:
        body["json_schema"] = dict(request.schema)
    elif request.schema is not None:
        schema = {"name": "reply", "strict": True, "schema": dict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return json.dumps(body)


def _seed(request: ChatRequest) -> int:
    """A seed that llama.cpp takes; its greatest one would mean: any."""
    seed = int(request.key("")[:8], 16) if request.seed is None else request.seed
    return seed % 0xFFFF_FFFF


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bundled() -> tuple[Path, str]:
    (file,) = catalogue.get(BUNDLED).files
    return checked_path(BUNDLED)[file.file], file.sha256


def _given(file: Path) -> tuple[Path, str]:
    """A user's own file and its hash.

    Raises:
        ModelError: It is not there, or is no GGUF.
    """
    try:
        with file.open("rb") as handle:
            magic = handle.read(len(MAGIC))
        if magic != MAGIC:
            raise ModelError(f"{file} is no GGUF file.", remedy="Name a model file of llama.cpp, ending in .gguf.")
        return file, sha256_of(file)
    except OSError as error:
        raise ModelError(
            f"cannot read the model {file}: {error.strerror or type(error).__name__}.", remedy="Check the path."
        ) from error


@contextmanager
def _sleeping_threads() -> Iterator[None]:
    """Lets llama.cpp's OpenMP threads sleep at barriers instead of spinning; read once, as the library is loaded.

    On two cores shared with one other busy process this made 16 parallel calls six times faster.
    """
    name = "OMP_WAIT_POLICY"
    if name in os.environ:
        yield
        return
    os.environ[name] = "passive"
    try:
        yield
    finally:
        del os.environ[name]
