"""Who made a model: from the name of a model to its family, and whether verifier and generator are independent.

A model prefers what it wrote itself, and what its relatives wrote (Panickssery, Bowman and Feng, "LLM Evaluators
Recognize and Favor Their Own Generations", 2024; Wataoka et al., "Self-Preference Bias in LLM-as-a-Judge", 2024), so a
candidate is never judged by the family that wrote it unless the user says so.

A name may show several families: `DeepSeek-R1-Distill-Qwen-7B` is Qwen taught by DeepSeek, and related to both. A
family that the name does not show is a state of its own, not independence: the user declares it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any, Literal

from posology.errors import ConfigError

How = Literal["name", "server", "embedded", "declared", "unknown"]

EMBEDDED = "SmolLM2-135M-Instruct"
_KINDS = ("openai", "anthropic", "local", "scripted")
_OVERRIDE = "Take another judge, or override with --allow-same-family: verdicts, report and dataset card will say so."

# Family, maker, and what its names look like. A name is looked for between other characters than letters, so that
# `ollama/phi3` is no Llama and `Llama-2-GPTQ` no GPT. Families of one maker that learn from each other are one.
_KNOWN: tuple[tuple[str, str, str], ...] = (
    ("gpt", "OpenAI", r"(?:chat)?gpt(?!-?(?:neox?|jt?|4all)\b)|^o[1-9]|davinci|babbage|codex|text-embedding"),
    ("claude", "Anthropic", r"claude|anthropic"),
    ("gemini", "Google", r"gemini|\w*gemma|palm|bison"),
    ("llama", "Meta", r"(?:meta-?|code|tiny)?llama(?![-_. ]?cpp)|vicuna|alpaca|tulu"),
    ("qwen", "Alibaba", r"(?:code)?qwen|qwq|qvq|tongyi|marco-o1"),
    ("mistral", "Mistral AI", r"(?:mis|mix|minis|codes|devs|magis|maths|pix|vox)tral(?:ai)?|zephyr"),
    ("deepseek", "DeepSeek", r"deepseek(?:-ai)?"),
    ("smollm", "Hugging Face", r"smol(?:l|v)m"),
    ("phi", "Microsoft", r"phi(?=[-_ ]?\d)|wizardlm-?2"),
    ("grok", "xAI", r"grok"),
    ("command", "Cohere", r"command(?=-(?:r|a|light|nightly|xlarge)\b|$)|c4ai|aya(?=-)"),
    ("nova", "Amazon", r"nova(?=-(?:micro|lite|pro|premier|sonic)\b)|titan-text|amazon\.titan"),
    ("glm", "Z.ai", r"(?:chat)?glm"),
    ("kimi", "Moonshot AI", r"kimi|moonshot(?:ai)?"),
    ("yi", "01.AI", r"01-ai|(?<![a-z0-9])yi(?=[-:])"),
    ("granite", "IBM", r"granite"),
    ("olmo", "Ai2", r"olmoe?"),
    ("falcon", "TII", r"falcon"),
    ("nemotron", "NVIDIA", r"nemotron"),
    ("minimax", "MiniMax", r"minimax|abab"),
    ("ernie", "Baidu", r"ernie"),
    ("hunyuan", "Tencent", r"hunyuan"),
    ("doubao", "ByteDance", r"doubao|seed(?=-(?:oss|1))"),
    ("internlm", "Shanghai AI Laboratory", r"internlm"),
    ("jamba", "AI21", r"jamba|jurassic"),
    ("exaone", "LG", r"exaone"),
    ("stablelm", "Stability AI", r"stablelm|stable-lm"),
    ("dbrx", "Databricks", r"dbrx|mpt"),
    ("pythia", "EleutherAI", r"pythia|gpt-?(?:neox?|jt?)\b"),
    ("palmyra", "Writer", r"palmyra"),
    ("reka", "Reka", r"reka"),
    ("lfm", "Liquid AI", r"lfm(?=-?\d)"),
)
_PATTERNS = tuple(
    (family, maker, re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])", re.IGNORECASE))
    for family, maker, pattern in _KNOWN
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model comes from.

    Attributes:
        name: The model, as it was given.
        families: Its families, most often one; empty if they are not known.
        makers: Who trained these families, as far as that is known.
        how: What says so: its `name`, the `server` (a provider's own address serves its own family), that it is
            `embedded`, or the user, who `declared` it; `unknown` if nothing does.
    """

    name: str
    families: tuple[str, ...]
    makers: tuple[str, ...]
    how: How

    @property
    def known(self) -> bool:
        """Whether there is a family at all."""
        return bool(self.families)


@dataclass(frozen=True, slots=True)
class Independence:
    """Whether those who judge are of other families than those who wrote.

    Attributes:
        generators: Who wrote the candidates.
        verifiers: Who judges them.
        evaluator: Who judges the trained bot, if a model does.
        problems: What speaks against independence, a sentence each; none left if there is nothing.
        notes: What is worth knowing without being against it.
    """

    generators: tuple[Origin, ...] = ()
    verifiers: tuple[Origin, ...] = ()
    evaluator: Origin | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def overridden(self) -> bool:
        """Whether the user went on in spite of a problem."""
        return bool(self.problems)

    @property
    def notice(self) -> str | None:
        """What verdicts, report and dataset card must say; None if all is well."""
        if not self.problems:
            return None
        return f"The check of independence was overridden: {' '.join(self.problems)}"

    def named(self, judge: str) -> str:
        """A judge's name as verdicts hold it."""
        return f"{judge} (not independent)" if self.overridden else judge

    def to_json(self) -> dict[str, Any]:
        """For manifests."""
        return {"independent": not self.problems, "overridden": self.overridden, "notice": self.notice, **asdict(self)}


def origin(name: str, *, declared: Mapping[str, str] | None = None, own_server: bool = False) -> Origin:
    """The families of a model.

    Args:
        name: As it is written for posology (`openai:gpt-4.1`, `local:`, `local:FILE.gguf`), by a hub or router
            (`meta-llama/Llama-3.1-8B-Instruct`), by Ollama (`qwen2.5:7b`), or of a fine-tune (`ft:gpt-4o:acme::x`).
        declared: Families or base models of names, in the user's own words; they win.
        own_server: An `openai:` or `anthropic:` model is served at an address of the user's, which may be anything.
    """
    kind, bare = _split(name)
    for key in (name, bare):
        if declared and key in declared:
            return _declared(name, declared[key])
    if kind == "local" and not bare:
        return Origin(name, *_by_name(EMBEDDED), "embedded")
    if kind == "scripted":
        return Origin(name, (name,), (), "name")  # no language model: akin to itself only
    families, makers = _by_name(_telling(kind, bare))
    if families:
        return Origin(name, families, makers, "name")
    if kind in ("openai", "anthropic") and not own_server:
        return Origin(name, *_by_name("gpt" if kind == "openai" else "claude"), "server")
    return Origin(name, (), (), "unknown")


def check_independence(
    generators: Sequence[Origin],
    verifiers: Sequence[Origin],
    evaluator: Origin | None = None,
    *,
    override: bool = False,
) -> Independence:
    """Refuses judges that are related to the generator, before anything is spent.

    Args:
        generators: Who wrote the candidates; empty if nobody knows.
        verifiers: The judges; without any there is nothing to refuse but an evaluator.
        evaluator: The model that judges the trained bot, if one does.
        override: The user wants it all the same.

    Returns:
        What was found, to be written down with the verdicts.

    Raises:
        ConfigError: Two roles share a family, or a family is not known, and there is no override.
    """
    judges = [*verifiers, *([evaluator] if evaluator else [])]
    problems: list[str] = []
    if judges and not generators:
        problems.append("It is not known which model wrote the candidates.")
    for model in dict.fromkeys([*generators, *judges] if judges else []):
        if not model.known:
            problems.append(f"The family of {model.name} is not known.")
    problems += _shared("judge", verifiers, "generator", generators)
    if evaluator is not None:
        problems += _shared("evaluation judge", [evaluator], "generator", generators)
        problems += _shared("evaluation judge", [evaluator], "judge", verifiers)
    if problems and not override:
        raise ConfigError(" ".join(problems), remedy=_remedy(judges, generators))
    return Independence(tuple(generators), tuple(verifiers), evaluator, tuple(problems), tuple(_notes(verifiers)))


def _split(name: str) -> tuple[str, str]:
    kind, colon, bare = name.partition(":")
    return (kind, bare) if colon and kind in _KINDS else ("", name)


def _telling(kind: str, name: str) -> str:
    """The part of a name that tells the family: not the folders of a file, nor what a fine-tune was called."""
    if kind == "local" or name.endswith(".gguf"):
        return PurePath(name).name
    if name.startswith("ft:"):
        return name.split(":")[1]
    return name


def _by_name(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    # `^o[1-9]` looks at the start of the model's own name, behind organisation and router.
    parts = (name, name.rpartition("/")[2])
    found = [(family, maker) for family, maker, known in _PATTERNS if any(known.search(part) for part in parts)]
    return tuple(family for family, _ in found), tuple(maker for _, maker in found)


def _declared(name: str, base: str) -> Origin:
    families, makers = _by_name(base)
    return Origin(name, families or (base.strip().lower(),), makers, "declared")


def _shared(role: str, models: Sequence[Origin], other_role: str, others: Sequence[Origin]) -> list[str]:
    found = []
    for model in models:
        for other in others:
            if both := sorted({*model.families} & {*other.families}):
                family = " and ".join(both)
                found.append(f"The {role} {model.name} and the {other_role} {other.name} are of one family, {family}.")
    return found


def _notes(verifiers: Sequence[Origin]) -> list[str]:
    counts: dict[str, list[str]] = {}
    for model in verifiers:
        for family in model.families:
            counts.setdefault(family, []).append(model.name)
    return [
        f"The judges {' and '.join(names)} are of one family, {family}: that they agree says little."
        for family, names in counts.items()
        if len(names) > 1
    ]


def _remedy(judges: Sequence[Origin], generators: Sequence[Origin]) -> str:
    unknown = [model.name for model in (*generators, *judges) if not model.known]
    if not generators or unknown:
        base = f"{{{unknown[0]}: qwen}}" if unknown else "{our-writers: human}"
        return (
            "Say with --generator who wrote the candidates, and declare the base of what its name does not show under "
            f"`verify.families` in posology.yaml, such as {base}."
        )
    return _OVERRIDE
