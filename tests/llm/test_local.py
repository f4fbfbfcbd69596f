import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import time

import pytest

from posology.errors import ExtraMissing, ModelError, UsageError
from posology.llm.contract import ChatRequest, ModelCallError
from posology.llm.local import LocalModel
from posology.models import catalogue
from posology.models.home import home
from posology.models.weights import verify

HERE = home()  # read at import: later the tests have a folder of their own
# Not imported here: the model sets its threads' manners with the first import.
needs_package = pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed")
LIST = "- I lost my card\n- where is my card\n- my card never came\n-"
SCHEMA = {
    "type": "object",
    "properties": {"mood": {"enum": ["calm", "angry"]}},
    "required": ["mood"],
    "additionalProperties": False,
}


def ask(prompt=LIST, role="completion", **settings):
    return ChatRequest("smol", ((role, prompt),), **{"max_tokens": 24, "temperature": 0.8, "stop": ("\n",)} | settings)


@pytest.fixture(scope="module")
def smollm2():
    """The weights where the user keeps them; skips where they are not."""
    before = os.environ.get("POSOLOGY_HOME")
    os.environ["POSOLOGY_HOME"] = str(HERE)
    try:
        if importlib.util.find_spec("xllamacpp") is None:
            pytest.skip("xllamacpp is not installed")
        if not all(check.ok for check in verify("smollm2")):
            pytest.skip("the bundled model is not here: posology models pull smollm2")
        yield HERE / "models" / "smollm2" / catalogue.SMOLLM2.files[0].file
    finally:
        if before is None:
            del os.environ["POSOLOGY_HOME"]
        else:
            os.environ["POSOLOGY_HOME"] = before


@pytest.fixture(scope="module")
def model(smollm2):
    model = LocalModel(slots=4, context=256)
    yield model
    asyncio.run(model.close())


def test_is_missing_without_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match="xllamacpp"):
        LocalModel()


@needs_package
def test_numbers_and_files_are_checked(tmp_path):
    with pytest.raises(UsageError):
        LocalModel(slots=0)
    with pytest.raises(ModelError, match="No such file"):
        LocalModel(tmp_path / "none.gguf")
    (tmp_path / "page.gguf").write_text("<html>")
    with pytest.raises(ModelError, match="no GGUF"):
        LocalModel(tmp_path / "page.gguf")
    with pytest.raises(ModelError, match="models pull smollm2"):
        LocalModel()


@needs_package
def test_a_damaged_file_is_an_error_and_not_a_crash(tmp_path):
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\3\0\0\0garbage")
    model = LocalModel(tmp_path / "cut.gguf")
    with pytest.raises(ModelError, match=r"cannot load cut\.gguf"):
        asyncio.run(model.complete(ask()))
    asyncio.run(model.close())


@pytest.mark.models
class TestReplies:
    def test_identity_names_the_content(self, model, smollm2):
        assert model.provider == f"local {smollm2.name} {catalogue.SMOLLM2.files[0].sha256}"
        assert LocalModel(smollm2).provider == model.provider

    def test_continues_a_list(self, model):
        reply = asyncio.run(model.complete(ask(seed=1)))
        assert reply.text.strip() and "\n" not in reply.text
        assert reply.finish == "stop"
        assert 0 < reply.usage.output_tokens < 24 and reply.usage.input_tokens > 10
        assert reply.latency > 0

    def test_the_same_request_gets_the_same_reply(self, model):
        async def replies(request, n):
            return [(await model.complete(request)).text for _ in range(n)]

        assert len(set(asyncio.run(replies(ask(seed=7), 3)))) == 1
        assert len(set(asyncio.run(replies(ask(), 3)))) == 1
        assert asyncio.run(replies(ask(seed=7), 1)) != asyncio.run(replies(ask(seed=8), 1))
        asyncio.run(replies(ask(seed=2**63 - 1, max_tokens=2), 1))

    def test_many_at_once(self, model):
        async def together():
            return await asyncio.gather(*(model.complete(ask(seed=i, max_tokens=8)) for i in range(12)))

        replies = asyncio.run(together())
        assert len({reply.text for reply in replies}) > 6

    def test_a_cut_reply_says_so(self, model):
        reply = asyncio.run(model.complete(ask(max_tokens=2, stop=())))
        assert (reply.finish, reply.usage.output_tokens) == ("length", 2)

    def test_chat_is_not_continuation(self, model):
        reply = asyncio.run(model.complete(ask("Say hello.", role="user", seed=1)))
        assert reply.text and reply.usage.input_tokens > 20  # the chat template adds a system message

    @pytest.mark.parametrize("role", ["user", "completion"])
    def test_follows_a_schema(self, model, role):
        request = ask("How is the customer? Answer in JSON.\n", role=role, schema=SCHEMA, stop=(), max_tokens=40)
        reply = asyncio.run(model.complete(request))
        assert json.loads(reply.text)["mood"] in ("calm", "angry")

    def test_a_prompt_beyond_the_context_is_told_with_its_length(self, model):
        for role in ("user", "completion"):
            with pytest.raises(ModelCallError, match="256 a call") as error:
                asyncio.run(model.complete(ask("secret " * 400, role=role)))
            assert error.value.kind == "context_too_long"
            assert "secret" not in str(error.value) + error.value.raw

    def test_a_reply_that_fills_the_context_is_cut(self, model):
        reply = asyncio.run(model.complete(ask("one two " * 100, stop=(), max_tokens=400, extra={"ignore_eos": True})))
        assert reply.finish == "length"

    def test_a_schema_that_is_none_is_refused(self, model):
        schema = {"type": "object", "properties": {"a": {"type": "no"}}}
        with pytest.raises(UsageError, match="cannot prepare"):
            asyncio.run(model.complete(ask(role="user", schema=schema)))

    def test_giving_up_frees_the_slot(self, model):
        async def give_up():
            long = ask(stop=(), max_tokens=200, extra={"ignore_eos": True})
            for _ in range(8):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(model.complete(long), 0.02)
            start = time.monotonic()
            await model.complete(ask(max_tokens=2))
            return time.monotonic() - start

        assert asyncio.run(give_up()) < 3


@pytest.mark.models
def test_closing_ends_calls_in_flight_and_is_final(smollm2):
    async def close_early():
        model = LocalModel(slots=1, context=512)
        long = ask(stop=(), max_tokens=400, extra={"ignore_eos": True})
        calls = [asyncio.create_task(model.complete(long)) for _ in range(3)]
        await asyncio.sleep(0.5)
        await model.close()
        await model.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [getattr(outcome, "kind", outcome) for outcome in outcomes] == ["connection"] * 3
        with pytest.raises(ModelError, match="closed"):
            await model.complete(long)

    asyncio.run(close_early())


@pytest.mark.models
def test_says_nothing_and_leaves_the_environment_alone(smollm2):
    code = """
import asyncio, os, sys
from posology.llm.contract import ChatRequest
from posology.llm.local import LocalModel
assert "xllamacpp" not in sys.modules
model = LocalModel(slots=2, context=128)
assert "xllamacpp" not in sys.modules
asyncio.run(model.complete(ChatRequest("m", (("completion", "- a"),), max_tokens=2)))
assert "OMP_WAIT_POLICY" not in os.environ
"""
    environment = {**os.environ, "POSOLOGY_HOME": str(HERE)}
    environment.pop("OMP_WAIT_POLICY", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
