"""The model of the settings as a generator of the self-consuming loop: calls go through ledger and budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from posology.collapse.continuation import Continue, continuation
from posology.collapse.surrogate import FitGenerator
from posology.config import Config
from posology.llm.budget import Budget
from posology.llm.choose import make_model
from posology.llm.contract import ChatRequest, Reply
from posology.llm.engine import Engine, Tagged
from posology.llm.ledger import Ledger
from posology.llm.limits import Limits
from posology.llm.prices import Price, Prices
from posology.progress import Progress
from posology.threads import run_to_end

STAGE = "recurse"
MAX_TOKENS = 64
INSTRUCTION = "Go on with the list below. Answer with the next message alone.\n\n"


def model_generator(config: Config, progress: Progress) -> FitGenerator:
    """Prompts the configured model with texts of the mixture it is to learn from.

    Args:
        config: `generate` names the model, its pace and its budget.
        progress: Told how many calls are done.
    """
    return continuation(_asking(config, progress))


def _asking(config: Config, progress: Progress) -> Continue:
    def ask(prompts: Sequence[str]) -> Sequence[str]:
        return run_to_end(_replies(config, prompts, progress))

    return ask


async def _replies(config: Config, prompts: Sequence[str], progress: Progress) -> list[str]:
    given = config.generate
    model = make_model(given.model, base_url=given.base_url, api_key_env=given.api_key_env, seed=given.seed)
    prices = Prices({name: Price(**price.model_dump()) for name, price in config.prices.items()})
    limits = Limits(getattr(model, "slots", given.concurrency), given.rpm, given.tpm, given.timeout, given.deadline)
    local = given.model.startswith("local:")
    texts = [""] * len(prompts)
    with Ledger(given.ledger or Path(config.out) / "ledger.sqlite") as ledger:
        spent = sum(row.cost for row in ledger.stats())
        gate = Budget(given.budget, prices, spent=spent).gate(model.provider, model.name, stage=STAGE)
        engine = Engine(
            model,
            ledger,
            limits=limits,
            gate=gate,
            price=lambda request, usage: prices.cost(model.provider, request.model, usage),
            progress=progress,
            stage=STAGE,
        )
        async with engine:
            work = (
                Tagged(place, _request(config, model.name, prompt, place, local=local))
                for place, prompt in enumerate(prompts)
            )
            done = 0
            async for result in engine.run(work):
                done += 1
                progress.step("writing", done, len(prompts))
                if isinstance(result.outcome, Reply):
                    texts[result.tag] = result.outcome.text
    return texts


def _request(config: Config, model: str, prompt: str, place: int, *, local: bool) -> ChatRequest:
    """One call; the place makes equal prompts differ where the model takes a seed."""
    given = config.generate
    return ChatRequest(
        model,
        (("completion", prompt) if local else ("user", INSTRUCTION + prompt),),
        temperature=given.temperature,
        top_p=given.top_p,
        max_tokens=given.max_tokens or MAX_TOKENS,
        seed=given.seed + place if given.send_seed and not given.model.startswith("anthropic:") else None,
        stop=("\n",) if local else (),
        extra=given.extra,
    )
