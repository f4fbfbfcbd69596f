import asyncio
import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from llm.serving import ask, chat, refuse, serving
from posology.errors import ConfigError
from posology.llm.anthropic import Anthropic
from posology.llm.anthropic import payload as anthropic_payload
from posology.llm.contract import ChatRequest, ModelCallError, Usage
from posology.llm.openai_compatible import OpenAICompatible, is_strict
from posology.llm.wire import retry_after

KEY = "sk-very-secret"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
FULL = ChatRequest(
    "gpt",
    (("system", "be brief"), ("user", "hello"), ("assistant", "hi"), ("user", "go on")),
    temperature=0.5,
    top_p=0.9,
    max_tokens=77,
    seed=3,
    schema=SCHEMA,
    stop=("END",),
    extra={"user": "u"},
)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def talk(handler, *requests, make=OpenAICompatible, path="/v1", **options):
    """Outcomes of requests, one after the other, and the server that saw them."""

    async def main():
        outcomes = []
        async with serving(handler) as server:
            model = make("gpt", base_url=server.url + path, **options)
            for request in requests or [ask()]:
                try:
                    outcomes.append(await model.complete(request))
                except ModelCallError as error:
                    outcomes.append(error)
            server.model = model
            await model.close()
        return outcomes, server

    return asyncio.run(main())


def test_openai_sends_everything_that_shapes_the_reply():
    (got,), server = talk([chat("fine")], FULL)
    assert (got.text, got.finish, got.model, got.usage) == ("fine", "stop", "m-2026", Usage(7, 5, 4))
    assert got.latency > 0
    (body,) = server.bodies
    assert body.pop("messages")[0] == {"role": "system", "content": "be brief"}
    assert body.pop("response_format")["json_schema"] == {"name": "reply", "schema": SCHEMA, "strict": True}
    assert body == {
        "model": "gpt",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 77,
        "seed": 3,
        "stop": ["END"],
        "user": "u",
    }
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["authorization"] == f"bearer {KEY}"


def test_what_is_unset_is_not_sent():
    _, server = talk([chat()])
    assert set(server.bodies[0]) == {"model", "messages", "max_tokens"}


@pytest.mark.parametrize(
    ("finish", "expected"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "refused"), ("tool_calls", "other"), (None, "other")],
)
def test_openai_finish_reasons(finish, expected):
    (got,), _ = talk([chat("x", finish)])
    assert got.finish == expected


def test_openai_variants_of_a_message():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    got, _ = talk([chat(parts), chat(None, refusal="no"), chat(None), chat("x \ud83d")], *[ask()] * 4)
    assert [(g.text, g.finish) for g in got] == [("ab", "stop"), ("no", "refused"), ("", "stop"), ("x ?", "stop")]


def test_missing_usage_is_estimated():
    status, value = chat("x" * 40)
    del value["usage"]
    (got,), _ = talk([(status, value)], ask("y" * 400))
    assert (got.usage.input_tokens, got.usage.output_tokens) == (104, 10)


CASES = [
    (refuse(401, "Incorrect API key provided", "invalid_api_key"), "auth", "OPENAI_API_KEY"),
    (refuse(403), "auth", "OPENAI_API_KEY"),
    (refuse(402, "Insufficient balance"), "auth", "used up"),
    (refuse(429, "You exceeded your current quota", "insufficient_quota"), "auth", "used up"),
    (refuse(404, "The model `gpt` does not exist", "model_not_found"), "not_found", "'m'"),
    ((301, b"", {"location": "http://127.0.0.1:9"}), "not_found", "HTTP 301"),
    (refuse(429, "slow down", "rate_limit_exceeded"), "rate_limited", "rate_limit_exceeded"),
    (refuse(429, "Request too large for gpt on tokens per min"), "context_too_long", "longer than"),
    (refuse(500), "overloaded", "HTTP 500"),
    (refuse(503), "overloaded", "HTTP 503"),
    ((502, b"<html>Bad gateway</html>"), "overloaded", "HTTP 502"),
    (refuse(529, "", None, type="overloaded_error"), "overloaded", "overloaded_error"),
    (refuse(504), "timeout", "gave up"),
    (refuse(408), "timeout", "gave up"),
    (
        refuse(400, "This model's maximum context length is 8192 tokens", "context_length_exceeded"),
        "context_too_long",
        "",
    ),
    (
        refuse(400, "the request exceeds the available context size", None, type="exceed_context_size_error"),
        "context_too_long",
        "",
    ),
    ((413, b"too big"), "context_too_long", "HTTP 413"),
    (refuse(400, "filtered due to Azure's content management policy", "content_filter"), "refused", "content_filter"),
    (refuse(403, "Your input was flagged"), "refused", ""),
    (refuse(400, "bad"), "malformed", "HTTP 400"),
    ((200, b"<!doctype html><html>Welcome</html>"), "malformed", "HTML"),
    ((200, b'{"choices": [{"message"'), "malformed", "other than a reply"),
    ((200, {"choices": []}), "malformed", "other than a reply"),
    ((200, {"choices": "no"}), "malformed", "other than a reply"),
    ((200, [1, 2]), "malformed", "other than a reply"),
    ((200, {"error": {"code": 429, "message": "upstream"}}), "rate_limited", ""),
    (None, "connection", "connection broke"),
]


@pytest.mark.parametrize(("answer", "kind", "said"), CASES)
def test_openai_errors(answer, kind, said):
    (got,), server = talk([answer])
    assert isinstance(got, ModelCallError)
    assert got.kind == kind
    assert said in str(got)
    assert server.model.provider.removeprefix("openai ") in str(got) or kind == "context_too_long"


def test_retry_after_is_read():
    (got,), _ = talk([(*refuse(429), {"retry-after": "7"})])
    assert got.retry_after == 7.0
    assert retry_after("1.5") == 1.5
    assert retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)) == pytest.approx(
        60, abs=2
    )
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True)) == 0.0
    assert retry_after("soon") is retry_after("") is retry_after("-3") is None


def test_keys_never_get_into_errors():
    (got,), _ = talk([refuse(401, f"Incorrect API key provided: {KEY}")], ask("my secret story"))
    assert KEY not in got.raw + str(got)
    assert "***" in got.raw
    assert "story" not in str(got)
    (got,), _ = talk([(500, ("x" * 9000).encode())])
    assert len(got.raw) == 4096


def test_a_schema_that_is_refused_is_put_differently_and_remembered():
    no = refuse(400, "'response_format' of type 'json_schema' is not supported", "unsupported")
    never = refuse(400, "response_format is not supported")
    request = ask(schema=SCHEMA)
    got, server = talk([no, chat("{}"), chat("{}")], request, request)
    assert [g.text for g in got] == ["{}", "{}"]
    formats = [body["response_format"]["type"] for body in server.bodies]
    assert formats == ["json_schema", "json_object", "json_object"]
    assert "JSON schema" in server.bodies[1]["messages"][0]["content"]
    _, server = talk([no, never, chat("{}"), chat("{}")], request, request)
    assert ["response_format" in body for body in server.bodies] == [True, True, False, False]


def test_a_model_that_wants_another_name_for_the_length_gets_it():
    no = refuse(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", param="max_tokens")
    got, server = talk([no, chat("a"), chat("b")], ask(), ask())
    assert [g.text for g in got] == ["a", "b"]
    assert ["max_completion_tokens" in body for body in server.bodies] == [False, True, True]


def test_a_sampling_parameter_is_never_dropped_in_silence():
    no = refuse(400, "Unsupported value: 'temperature'", "unsupported_value", param="temperature")
    (got,), server = talk([no], ask(temperature=0.3))
    assert (got.kind, len(server.bodies)) == ("not_found", 1)
    assert "does not take temperature=0.3" in str(got)


def test_strict_mode_is_asked_for_only_where_it_holds():
    assert is_strict(SCHEMA)
    assert not is_strict({**SCHEMA, "required": []})
    assert not is_strict({**SCHEMA, "properties": {"a": {"type": "object"}}})
    assert not is_strict({"type": "array", "items": {"type": "object", "properties": {}}})


def test_azure_gets_its_header_and_its_query():
    model = OpenAICompatible("d", base_url="https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21")
    assert model._wire._key_header == "api-key"
    assert model._wire._address.endswith("/deployments/d/chat/completions?api-version=2024-10-21")
    assert model.provider == "openai https://x.openai.azure.com/openai/deployments/d"


@pytest.mark.parametrize("url", ["", "host/v1", "ftp://host", "http://", "http://host:x", "http://me:pw@host/v1"])
def test_a_base_url_that_is_none_is_refused(url):
    for make in (OpenAICompatible, Anthropic):
        with pytest.raises(ConfigError, match="base_url"):
            make("m", base_url=url)


def test_a_base_url_with_the_whole_path_is_understood():
    _, server = talk([chat()], path="/v1/chat/completions/")
    assert server.paths == ["/v1/chat/completions"]


def test_nothing_listens_there():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def main():
        model = OpenAICompatible("m", base_url=f"http://127.0.0.1:{port}/v1")
        try:
            with pytest.raises(ModelCallError, match=f"127.0.0.1:{port}/v1 cannot be reached: nothing listens") as got:
                await model.complete(ask())
            assert got.value.kind == "connection"
            assert not await model.check()
        finally:
            await model.close()

    asyncio.run(main())


@pytest.mark.parametrize(("make", "variable"), [(OpenAICompatible, "OPENAI_API_KEY"), (Anthropic, "ANTHROPIC_API_KEY")])
def test_a_missing_or_broken_key_is_named_before_anything_is_sent(make, variable, monkeypatch):
    def complain():
        async def main():
            model = make("m")
            try:
                await model.complete(ask())
            except ModelCallError as error:
                return error
            finally:
                await model.close()

        return asyncio.run(main())

    monkeypatch.delenv(variable)
    assert (complain().kind, f"variable {variable} is not set" in str(complain())) == ("auth", True)
    monkeypatch.setenv(variable, "sk-\nx-injected: 1")
    assert "characters that no key has" in str(complain())
    assert "injected" not in str(complain())


def test_a_local_server_needs_no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    _, server = talk([chat()])
    assert "authorization" not in server.headers[0]


@pytest.mark.parametrize(("status", "vouches"), [(200, True), (401, False), (404, False)])
def test_a_server_is_asked_for_its_models(status, vouches):
    async def main():
        async with serving([]) as server:
            server.models = status
            for make in (OpenAICompatible, Anthropic):
                model = make("m", base_url=server.url)
                assert await model.check() == vouches
                await model.close()

    asyncio.run(main())


def test_a_client_serves_one_event_loop_after_another():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    model = OpenAICompatible("m", base_url=f"http://127.0.0.1:{port}")

    async def main():
        async with serving([chat("x")], port):
            got = await model.complete(ask())
            await model.close()
            return got.text

    assert [asyncio.run(main()) for _ in range(2)] == ["x", "x"]


# --- Anthropic


def said(text="hi", stop="end_turn", **fields):
    usage = {"input_tokens": 7, "output_tokens": 5, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 1}
    return 200, {
        "model": "claude",
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop,
        "usage": usage,
    } | fields


def test_anthropic_sends_system_and_schema_its_own_way():
    tool = [{"type": "text", "text": "Here:"}, {"type": "tool_use", "name": "reply", "input": {"a": "é"}}]
    (got,), server = talk([said(stop="tool_use", content=tool)], FULL, make=Anthropic, path="")
    assert (json.loads(got.text), got.finish, got.usage) == ({"a": "é"}, "stop", Usage(10, 5, 2))
    (body,) = server.bodies
    assert body["system"] == "be brief"
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert body["tools"][0]["input_schema"] == SCHEMA
    assert body["tool_choice"] == {"type": "tool", "name": "reply"}
    assert (body["max_tokens"], body["stop_sequences"], body["user"]) == (77, ["END"], "u")
    assert "seed" not in body
    assert server.paths == ["/v1/messages"]
    assert server.headers[0]["x-api-key"] == KEY
    assert server.headers[0]["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize(
    ("stop", "finish"),
    [("end_turn", "stop"), ("max_tokens", "length"), ("refusal", "refused"), ("pause_turn", "other")],
)
def test_anthropic_finish_reasons(stop, finish):
    (got,), _ = talk([said(stop=stop)], make=Anthropic, path="/v1")
    assert (got.text, got.finish) == ("hi", finish)


@pytest.mark.parametrize(
    ("status", "type_", "message", "kind"),
    [
        (401, "authentication_error", "invalid x-api-key", "auth"),
        (400, "invalid_request_error", "Your credit balance is too low", "auth"),
        (404, "not_found_error", "model: x", "not_found"),
        (429, "rate_limit_error", "", "rate_limited"),
        (529, "overloaded_error", "Overloaded", "overloaded"),
        (500, "api_error", "", "overloaded"),
        (400, "invalid_request_error", "prompt is too long: 300000 tokens > 200000 maximum", "context_too_long"),
        (413, "request_too_large", "", "context_too_long"),
        (200, "x", "", "malformed"),
    ],
)
def test_anthropic_errors(status, type_, message, kind):
    answer = status, {"type": "error", "error": {"type": type_, "message": message}}
    (got,), _ = talk([answer], make=Anthropic, path="")
    assert got.kind == kind
    if kind == "auth" and status == 401:
        assert "ANTHROPIC_API_KEY" in str(got)


def test_anthropic_plain_requests_have_no_tools():
    assert set(anthropic_payload(ask())) == {"model", "messages", "max_tokens"}
