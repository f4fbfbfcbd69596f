"""From names of models to families, and who may judge whom."""

import pytest

from posology.errors import ConfigError
from posology.verification.families import check_independence, origin

NAMES = {
    "gpt": "openai:gpt-4o openai:o3-mini openai/o4-mini openai:chatgpt-4o-latest ft:gpt-4o-mini-2024-07-18:a:llama-x:a "
    "openai:ft:gpt-4o:acme::x openai/gpt-oss-120b gpt2 openai:some-new-thing",
    "claude": "anthropic:claude-sonnet-4-5 anthropic/claude-3.5-sonnet us.anthropic.claude-3-5-sonnet-20241022-v2:0",
    "gemini": "gemini-2.5-pro google/gemma-2-9b models/gemini-1.5-flash codegemma medgemma-4b gemma3n:e4b",
    "llama": "meta-llama/Llama-3.1-8B-Instruct llama3.2 TheBloke/Llama-2-7B-GPTQ CodeLlama-7b TinyLlama vicuna-13b",
    "qwen": "qwen2.5:7b Qwen/QwQ-32B local:/models/llama/Qwen2.5-7B-Instruct-Q4_K_M.gguf AIDC-AI/Marco-o1",
    "mistral": "mistralai/Mixtral-8x7B mixtral:8x7b codestral-latest magistral-small ministral-8b devstral pixtral-12b "
    "NousResearch/Nous-Hermes-2-Mistral-7B-DPO zephyr-7b-beta mistral-nemo",
    "smollm": "local: HuggingFaceTB/SmolLM2-1.7B smollm3 /models/SmolLM2-135M.gguf",
    "deepseek": "deepseek-chat deepseek-ai/DeepSeek-V3.1",
    "phi": "microsoft/Phi-3-mini-4k phi4 ollama/phi3",
    "grok": "grok-4 x-ai/grok-2",
    "command": "command-r-plus cohere/command-a c4ai-aya-expanse",
    "nova": "amazon.nova-pro-v1:0 us.amazon.nova-micro-v1:0",
    "glm": "glm-4.6 chatglm3-6b z-ai/glm-4.5-air",
    "kimi": "moonshotai/kimi-k2 moonshot-v1-8k",
    "yi": "01-ai/Yi-34B yi-large",
    "granite": "ibm-granite/granite-3.1-8b",
    "olmo": "allenai/OLMo-2-7B OLMoE-1B-7B",
    "falcon": "tiiuae/falcon-7b",
    "pythia": "gpt-j-6b EleutherAI/gpt-neox-20b EleutherAI/pythia-1b",
}


@pytest.mark.parametrize("family", NAMES)
def test_families_by_name(family):
    assert {name: origin(name).families for name in NAMES[family].split()} == {
        name: (family,) for name in NAMES[family].split()
    }


@pytest.mark.parametrize(
    "name",
    "my-deployment hermes-3 orca-2 llama.cpp/default central austral nova-sky gpt4all-j yiddish philo-9b".split(),
)
def test_what_a_name_does_not_show_is_unknown(name):
    assert not origin(name).known and origin(name).how == "unknown"


def test_a_distilled_model_belongs_to_teacher_and_base():
    assert set(origin("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B").families) == {"deepseek", "qwen"}
    assert set(origin("DeepSeek-R1-Distill-Llama-8B").families) == {"deepseek", "llama"}


def test_a_server_of_ones_own_may_serve_anything():
    assert origin("openai:prod-judge").families == ("gpt",)
    assert not origin("openai:prod-judge", own_server=True).known
    assert origin("openai:gpt-4o", own_server=True).families == ("gpt",)


def test_declared_families_win():
    declared = {"prod": "Qwen/Qwen2.5-7B", "openai:gpt-4o": "llama", "team": "Human"}
    assert origin("openai:prod", declared=declared).families == ("qwen",)
    assert origin("openai:gpt-4o", declared=declared).families == ("llama",)
    assert (
        origin("team", declared=declared).families == ("human",) and origin("team", declared=declared).how == "declared"
    )


def test_scripts_are_akin_to_themselves_only():
    one, two = origin("scripted:a.py:f"), origin("scripted:a.py:g")
    assert check_independence([one], [two]).problems == ()
    with pytest.raises(ConfigError):
        check_independence([one], [one])


def test_independent_models_pass():
    found = check_independence([origin("gpt-4o")], [origin("claude-x"), origin("qwen3")], origin("mistral-large"))
    assert found.problems == () and not found.overridden and found.notice is None and found.to_json()["independent"]


@pytest.mark.parametrize(
    ("generator", "judges", "evaluator", "said"),
    [
        ("openai:gpt-4o-mini", ["openai/o3"], None, "judge openai/o3 and the generator .* one family, gpt"),
        ("gpt-4o", ["claude-x"], "openai:gpt-4.1", "evaluation judge openai:gpt-4.1 and the generator"),
        ("gpt-4o", ["claude-x"], "anthropic/claude-y", "evaluation judge .* and the judge claude-x"),
        ("DeepSeek-R1-Distill-Qwen-7B", ["qwen2.5:7b"], None, "one family, qwen"),
        ("prod", ["claude-x"], None, "family of prod is not known"),
        (None, ["claude-x"], None, "not known which model wrote"),
    ],
)
def test_relatives_and_strangers_are_refused(generator, judges, evaluator, said):
    generators = [] if generator is None else [origin(generator)]
    judges, evaluator = [origin(name) for name in judges], None if evaluator is None else origin(evaluator)
    with pytest.raises(ConfigError, match=said) as refused:
        check_independence(generators, judges, evaluator)
    assert "--allow-same-family" in refused.value.remedy or "verify.families" in refused.value.remedy
    found = check_independence(generators, judges, evaluator, override=True)
    assert found.overridden and found.notice.startswith("The check of independence was overridden")


def test_without_a_judge_nobody_needs_to_be_known():
    assert check_independence([origin("prod")], []).problems == ()


def test_a_panel_of_one_family_is_noted():
    found = check_independence([origin("gpt-4o")], [origin("claude-a"), origin("claude-b")])
    assert "one family, claude" in found.notes[0] and not found.problems
