"""The calls of one attempt at one row: one call, or one a turn where customer and agent are played apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from posology.generation.checks import Failure
from posology.generation.feedback import NotThese
from posology.generation.plan import PlanRow
from posology.generation.prompts import Prompt, Prompts, PromptTooLong, Turn
from posology.generation.replies import SCHEMAS, Draft, Unreadable, read_reply, read_turn
from posology.llm.contract import COMPLETION, ChatRequest, ModelCallError, Reply
from posology.records import EMPTY, Message

_SIDES = ("agent", "customer")
_SEEDS = 1 << 31


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model is asked.

    Attributes:
        model: Its name, as the provider knows it.
        temperature: Sampling temperature; None leaves it to the provider.
        top_p: Nucleus; None likewise.
        max_tokens: Most tokens of a reply.
        prompt_tokens: Most tokens of a prompt, by `prompts.estimated_tokens`.
        structured: Whether to send the JSON schema, for providers that can hold a reply to it.
        seeds: Whether to send seeds. Without them, further attempts differ by what they are told of earlier ones.
        completion: Whether the model continues a text as it stands, without a chat template: for the mode
            `continuation` on local models.
        extra: Further parameters of the provider.
    """

    model: str
    temperature: float | None = 0.9
    top_p: float | None = None
    max_tokens: int = 1024
    prompt_tokens: int = 6000
    structured: bool = True
    seeds: bool = True
    completion: bool = False
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


class Exchange:
    """Makes the requests of an attempt one after the other, and puts their replies together.

    After each `take` that returns True, `request` is the next call. In the end, either `draft` or `failure` is set.

    Args:
        row: What is wanted.
        prompts: The templates.
        sampling: How the model is asked.
        attempt: Which attempt, from 1; it changes the seed.
        avoid: What the prompt asks to avoid.
        limit: Most tokens of a prompt.
    """

    def __init__(
        self, row: PlanRow, prompts: Prompts, sampling: Sampling, *, attempt: int, avoid: NotThese, limit: int
    ) -> None:
        self._row, self._prompts, self._sampling = row, prompts, sampling
        self._avoid, self._limit = avoid, limit
        self._said: list[str] = []
        self._raw: list[str] = []
        self._quoted: dict[str, None] = {}
        self.seed = row.seed if attempt == 1 else _another_seed(row.seed, attempt)
        self.step = 0
        self.tokens = 0
        self.model = ""
        self.trimmed: tuple[str, ...] = ()
        self.draft: Draft | None = None
        self.failure: Failure | None = None
        self.request: ChatRequest
        self._prepare()

    @property
    def quoted(self) -> tuple[str, ...]:
        """The foreign texts of all prompts."""
        return tuple(self._quoted)

    @property
    def raw(self) -> str:
        """The replies, or what the server sent instead."""
        return "\n".join(self._raw)

    def take(self, answer: Reply | ModelCallError) -> bool:
        """Takes the answer to `request`.

        Returns:
            Whether there is a next one.
        """
        if isinstance(answer, ModelCallError):
            self._raw.append(answer.raw)
            self.failure = Failure(f"call_{answer.kind}", answer.message)
            return False
        self._raw.append(answer.text)
        self.model = answer.model
        try:
            if self._prompts.mode != "turns":
                self.draft = read_reply(answer, self._prompts.mode)
                return False
            self._said.append(read_turn(answer))
        except Unreadable as error:
            self.failure = Failure(error.reason, error.detail)
            return False
        if self.step >= self._row.turns:
            roles = ("user", "assistant")
            turns = (Message(roles[place % 2], text) for place, text in enumerate(self._said))
            self.draft = Draft(tuple(turns), "plain")
            return False
        self._prepare()
        return self.failure is None

    def _prepare(self) -> None:
        self.step += 1
        turn = None
        if self._prompts.mode == "turns":
            turn = Turn(
                self.step, _SIDES[self.step % 2], tuple(self._said), last_of_side=self.step >= self._row.turns - 1
            )
        try:
            prompt = self._prompts.render(self._row, limit=self._limit, avoid=self._avoid, turn=turn)
        except PromptTooLong as error:
            self.failure = Failure("prompt_too_long", str(error))
            return
        self._quoted |= dict.fromkeys(prompt.quoted)
        self.trimmed += prompt.trimmed
        self.tokens = prompt.tokens
        self.request = self._request(prompt)

    def _request(self, prompt: Prompt) -> ChatRequest:
        sampling, mode = self._sampling, self._prompts.mode
        messages = prompt.messages
        if sampling.completion and mode == "continuation":
            messages = ((COMPLETION, "\n\n".join(content for _, content in messages)),)
        seed = _another_seed(self.seed, self.step) if self.step > 1 else self.seed
        return ChatRequest(
            model=sampling.model,
            messages=messages,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=seed if sampling.seeds else None,
            schema=SCHEMAS[mode] if sampling.structured else None,
            # A continued list goes on for ever: one item is wanted.
            stop=("\n",) if mode == "continuation" else (),
            extra=sampling.extra,
        )


def _another_seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4]) % _SEEDS
