"""How a generation asks: the model, the templates, the sampling, and when a row has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property

from posology import fingerprint
from posology.config import Generate
from posology.generation.checks import Limits, real_openings
from posology.generation.exchange import Sampling
from posology.generation.generator import Rules
from posology.generation.language import NAMES
from posology.generation.material import gather, opening
from posology.generation.personas import personas, read_personas
from posology.generation.plan import DIALOGUES, Mode
from posology.generation.prompts import Prompts
from posology.llm.choose import make_model, missing_key
from posology.llm.contract import ChatModel
from posology.planning import Planning
from posology.records import Conversation, DocSection

MAX_TOKENS: dict[Mode, int] = {"dialogue": 1536, "turns": 400, "message": 300, "continuation": 64}
PROMPT_TOKENS = 6000


class Asking:
    """Everything that shapes prompts and what is accepted; each part is made when it is first wanted.

    Args:
        settings: The section of the configuration.
        planning: The plan and its material.
        train: Real training conversations.
        feedback: Whether what was written already is fed back into prompts.
    """

    def __init__(
        self, settings: Generate, planning: Planning, train: Sequence[Conversation], *, feedback: bool
    ) -> None:
        self.settings = settings
        self._planning, self._train, self._feedback = planning, train, feedback

    @cached_property
    def model(self) -> ChatModel:
        """The model; made, not called."""
        given = self.settings
        return make_model(given.model, base_url=given.base_url, api_key_env=given.api_key_env, seed=given.seed)

    @cached_property
    def prompts(self) -> Prompts:
        """The templates."""
        language = NAMES[self.settings.language]
        return Prompts(self._planning.mode, self._planning.material, language=language, folder=self.settings.templates)

    @cached_property
    def sampling(self) -> Sampling:
        """How the model is asked."""
        given = self.settings
        local = given.model.startswith("local:")
        most = given.max_tokens or MAX_TOKENS[self._planning.mode]
        # A local context holds prompt and reply; what is estimated may be short of the truth by a little.
        context = getattr(self.model, "context", None)
        room = PROMPT_TOKENS if context is None else int((context - most) * 0.9)
        return Sampling(
            self.model.name,
            given.temperature,
            given.top_p,
            most,
            given.prompt_tokens or max(64, room),
            structured=given.structured,
            seeds=given.send_seed and not given.model.startswith("anthropic:"),
            completion=local and self._planning.mode == "continuation",
            extra=given.extra,
        )

    @cached_property
    def rules(self) -> Rules:
        """When a row has ended."""
        return Rules(Limits(self.settings.language), attempts=self.settings.attempts, feedback=self._feedback)

    @cached_property
    def real_openings(self) -> frozenset[str]:
        """The first messages of all real training conversations, as the checks want them."""
        return real_openings([opening(conversation) for conversation in self._train])

    @cached_property
    def identity(self) -> str:
        """Identity of all that shapes the outcome: plan, material, prompts, model, sampling and rules."""
        material = self._planning.material
        return fingerprint.of(
            "generate",
            plan=self._planning.digest,
            docs={name: section.text for name, section in material.sections.items()},
            catalog={name: dict(product) for name, product in material.products.items()},
            real=sorted(self.real_openings),
            prompts=self.prompts.version,
            language=self.settings.language,
            provider=self.model.provider,
            sampling=asdict(self.sampling) | {"extra": dict(self.sampling.extra)},
            attempts=self.rules.attempts,
            feedback=self.rules.feedback,
        )


def ready(settings: Generate, mode: Mode, docs: Sequence[DocSection], catalog: Sequence[dict[str, str]]) -> list[str]:
    """Checks all of a generation that can be checked before real data is looked at; nothing is sent or written.

    Returns:
        Lines for people.

    Raises:
        ConfigError: The model, its address, a template or the list of personas makes no sense, or a key is missing.
        ModelError: The embedded model is not there.
    """
    model = make_model(settings.model, base_url=settings.base_url, api_key_env=settings.api_key_env)
    lines = [f"generation: {model.name}, mode {mode}"]
    if name := missing_key(settings.model, base_url=settings.base_url, api_key_env=settings.api_key_env):
        lines.append(f"  no key: {name} is not set; {settings.base_url} may want none")
    Prompts(mode, gather([], docs, catalog, dialogues=mode in DIALOGUES), folder=settings.templates)
    own = read_personas(settings.personas) if settings.personas else ()
    return [*lines, f"  {len(personas(own, with_built_in=settings.built_in_personas))} personas"]
