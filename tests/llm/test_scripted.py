import asyncio

import pytest

from llm.serving import ask, reply
from posology.errors import ConfigError
from posology.llm.anthropic import Anthropic
from posology.llm.choose import make_model
from posology.llm.contract import ModelCallError
from posology.llm.openai_compatible import OpenAICompatible
from posology.llm.scripted import Scripted, load


def say(model, *requests):
    async def main():
        outcomes = []
        for request in requests:
            try:
                outcomes.append((await model.complete(request)).text)
            except ModelCallError as error:
                outcomes.append(error.kind)
        return outcomes

    return asyncio.run(main())


def test_replies_in_order():
    assert say(Scripted(["a", reply("b")]), *[ask()] * 3) == ["a", "b", "not_found"]


def test_replies_by_what_the_request_contains():
    model = Scripted({"refund": "A", "": "B"})
    assert say(model, ask("a refund, please"), ask("else")) == ["A", "B"]
    assert say(Scripted({"refund": "A"}), ask("else")) == ["not_found"]


def test_a_function_s_chance_depends_on_seed_and_request_alone():
    def script(request, rng):
        return str(rng.integers(10**9))

    requests = [ask(f"{i}") for i in range(5)]
    forward = say(Scripted(script), *requests)
    assert forward == say(Scripted(script), *requests[::-1])[::-1]
    assert len(set(forward)) == 5
    assert forward != say(Scripted(script, seed=1), *requests)


def test_faults_come_in_their_share_and_pass_on_another_attempt():
    model = Scripted(lambda request, rng: "ok", faults={"rate_limited": 0.2, "malformed": 0.1})
    outcomes = say(model, *(ask(f"{i}") for i in range(1000)))
    assert 150 < outcomes.count("rate_limited") < 250
    assert 60 < outcomes.count("malformed") < 140
    unlucky = outcomes.index("malformed")
    assert "ok" in say(model, *[ask(f"{unlucky}")] * 5)
    assert outcomes == say(Scripted(lambda r, g: "ok", faults=model._faults), *(ask(f"{i}") for i in range(1000)))


def test_a_script_that_gives_no_text_is_an_error():
    with pytest.raises(ConfigError, match="gave a int"):
        say(Scripted(lambda request, rng: 3), ask())


def test_scripts_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_bot_script.py").write_text(
        "def answer(request, rng): return request.messages[-1][1][::-1]\nvalue = 3\n"
    )
    (tmp_path / "replies.json").write_text('["one", "two"]')
    (tmp_path / "by_text.json").write_text('{"x": "one"}')
    assert say(load("my_bot_script:answer"), ask("abc")) == ["cba"]
    assert say(load(f"{tmp_path}/my_bot_script.py:answer"), ask("abc")) == ["cba"]
    assert say(make_model("scripted:replies.json"), ask(), ask()) == ["one", "two"]
    assert say(load("by_text.json"), ask("x")) == ["one"]


@pytest.mark.parametrize(
    "spec",
    ["x", "os:", "os:no_such", "os:sep", "no_such_module_here:f", "none.py:f", "none.json", "bad.json", "broken.py:f"],
)
def test_a_script_that_is_none_is_named(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text("[1]")
    (tmp_path / "broken.py").write_text("def (")
    with pytest.raises(ConfigError):
        load(spec)


def test_models_by_name():
    model = make_model("openai:gpt:free", base_url="http://host:1/v1", api_key_env="MY_KEY")
    assert isinstance(model, OpenAICompatible)
    assert (model.name, model.provider, model._wire.key_env) == ("gpt:free", "openai http://host:1/v1", "MY_KEY")
    model = make_model("anthropic:claude")
    assert isinstance(model, Anthropic)
    assert model.provider == "anthropic https://api.anthropic.com"


@pytest.mark.parametrize("spec", ["gpt-4o", "openai:", "openai", "cohere:x", "", "anthropic:", "scripted:"])
def test_a_name_that_is_none_is_refused(spec):
    with pytest.raises(ConfigError, match="names no model"):
        make_model(spec)


def test_embedded_and_scripted_models_take_no_address():
    for spec in ("local:", "scripted:a:b"):
        with pytest.raises(ConfigError, match="takes no base_url"):
            make_model(spec, base_url="http://host")
