"""How judges are heard: through ledger and budget, each over a live connection, or all at once by batch."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from posology.answering import batch_api, batched, called, refuse_open_batches
from posology.config import Verify
from posology.generation.generator import Ask
from posology.jury import Heard, Juror, Matter
from posology.llm.budget import Budget, BudgetGate
from posology.llm.engine import Engine
from posology.llm.ledger import Ledger
from posology.llm.prices import Prices
from posology.progress import Progress
from posology.threads import run_to_end

R = TypeVar("R", bound=Heard)

STAGE = "verify"
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Hearing:
    """The way to judges.

    Attributes:
        settings: How judges are asked.
        ledger: Where calls are kept.
        batches: Where open batches are noted, a folder a judge.
        prices: What calls cost.
        progress: Told how far.
    """

    settings: Verify
    ledger: Path
    batches: Path
    prices: Prices
    progress: Progress

    def hear(self, tasks: Sequence[tuple[Juror, Sequence[Matter[R]]]]) -> list[list[R]]:
        """Asks judges, each about its own matters.

        Args:
            tasks: Judges, and what each is asked; nothing is sent for those who are asked nothing.

        Returns:
            For each judge what came of its matters, in their order.

        Raises:
            ConfigError: There is a budget, and a price is not known.
            UsageError: A judge has no batch API though batches are wanted, or has open batches though they are not.
            BudgetReached: The next call would pass the budget; what was asked is in the ledger.
            PosologyError: What else ends a run of the engine or of a batch, likewise.
        """
        return run_to_end(self._heard(tasks))

    async def _heard(self, tasks: Sequence[tuple[Juror, Sequence[Matter[R]]]]) -> list[list[R]]:
        async with AsyncExitStack() as stack:
            ledger = stack.enter_context(Ledger(self.ledger))
            budget = Budget(self.settings.budget, self.prices, spent=sum(row.cost for row in ledger.stats()))
            # Whatever speaks against one of the judges is said before the first call of any.
            gates = [budget.gate(juror.model.provider, juror.model.name, stage=STAGE) for juror, _ in tasks]
            if self.settings.batch:
                asks = [
                    self._batched(stack, juror, ledger, gate) for (juror, _), gate in zip(tasks, gates, strict=True)
                ]
                return await self._together(tasks, asks)
            for juror, _ in tasks:
                refuse_open_batches(self._folder(juror), juror.model.provider)
            return [
                await self._live(juror, matters, ledger, gate)
                for (juror, matters), gate in zip(tasks, gates, strict=True)
            ]

    async def _live(self, juror: Juror, matters: Sequence[Matter[R]], ledger: Ledger, gate: BudgetGate) -> list[R]:
        engine = Engine(
            juror.model, ledger, limits=juror.pace, gate=gate, price=juror.cost, progress=self.progress, stage=STAGE
        )
        try:
            async with engine:
                return await juror.hear(called(engine), matters, self.progress)
        finally:
            juror.sent += engine.sent
            juror.rise()

    def _batched(self, stack: AsyncExitStack, juror: Juror, ledger: Ledger, gate: BudgetGate) -> Ask:
        def sent(items: int) -> None:
            juror.sent += items

        judge = juror.judge
        api = batch_api(judge.model, judge.base_url, judge.api_key_env)
        stack.push_async_callback(api.close)
        return batched(
            api,
            self._folder(juror),
            ledger,
            gate=gate,
            cost=juror.cost,
            progress=self.progress,
            sent=sent,
            stage=STAGE,
            label=f"batch of {juror.name}",
        )

    async def _together(self, tasks: Sequence[tuple[Juror, Sequence[Matter[R]]]], asks: Sequence[Ask]) -> list[list[R]]:
        """All judges at the same time, since a batch may take a day; one that fails does not stop the others."""
        found = await asyncio.gather(
            *(juror.hear(ask, matters, self.progress) for (juror, matters), ask in zip(tasks, asks, strict=True)),
            return_exceptions=True,
        )
        heard: list[list[R]] = []
        for one in found:
            if isinstance(one, BaseException):
                raise one
            heard.append(one)
        return heard

    def _folder(self, juror: Juror) -> Path:
        """A judge's own: two of one provider do not collect each other's batches."""
        digest = hashlib.sha256(juror.name.encode()).hexdigest()[:8]
        return self.batches / f"{_ODD.sub('-', juror.name)[-40:]}-{digest}"
