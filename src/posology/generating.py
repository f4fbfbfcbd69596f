"""Generation: from a plan and a model to candidates and rejected rows.

Everything that was asked before is in the ledger, so a run that ended early is simply run again. The rows are written
whatever ends a run (a spent budget, Ctrl-C, a server that is gone); the manifest only once every row of the plan has
ended as a candidate or as rejected.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from posology import planning
from posology.answering import STAGE, Unanswered, Watched, batch_api, batched, called, recorded, refuse_open_batches
from posology.asking import Asking
from posology.errors import PosologyError
from posology.generation.generator import Answer, Ask, Candidate, Generator, Outcome
from posology.generation.plan import Mode, PlanRow, counted
from posology.harvest import ATTEMPTS, REJECTED, Count, harvest, shown, totals
from posology.inputs import CANDIDATES
from posology.llm import limits as pace
from posology.llm.budget import Budget
from posology.llm.calls import Call
from posology.llm.contract import ChatModel, ChatRequest, ModelCallError, Reply, Usage
from posology.llm.engine import Engine
from posology.llm.estimate import Estimate, estimate
from posology.llm.ledger import Ledger
from posology.llm.offline import export_requests, import_replies
from posology.llm.prices import Price, Prices
from posology.pipeline import Pipeline
from posology.threads import run_to_end

TYPICAL: dict[Mode, int] = {"dialogue": 350, "turns": 60, "message": 50, "continuation": 20}
"""Tokens that a reply has as a rule, for estimates before the ledger knows better: a guess."""


class Generation:
    """One generation, in the folder of a pipeline.

    Args:
        pipeline: Settings, real training data, gaps, docs, catalog, progress.
        gaps: A gaps.json to use instead of the pipeline's own.
        plan: A plan to use as it is.
        batch: Calls go through a batch API.
        offline: Calls are written to files and read from them.

    Both of the latter know all prompts beforehand, so nothing of what is written is fed back into them.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        gaps: Path | None = None,
        plan: Path | None = None,
        batch: bool = False,
        offline: bool = False,
    ) -> None:
        self.settings = pipeline.config.generate
        self.progress = pipeline.progress
        self.mode: Mode = self.settings.chosen_mode
        self.planning = planning.Planning(pipeline, self.mode, gaps=gaps, plan=plan)
        feedback = self.settings.feedback and not batch and not offline
        self.asking = Asking(self.settings, self.planning, pipeline.parts.train, feedback=feedback)
        self._pipeline = pipeline
        self._batch = batch
        self._stage = pipeline.folder.stage("generate")
        self._ledger_path = self.settings.ledger or pipeline.folder.path / "ledger.sqlite"
        own = {name: Price(**price.model_dump()) for name, price in pipeline.config.prices.items()}
        self._prices = Prices(own, batch=batch)
        self._sent = 0
        self._facts: dict[str, Any] = {}

    @property
    def model(self) -> ChatModel:
        """The model; made, not called."""
        return self.asking.model

    def _generator(self, rows: list[PlanRow]) -> Generator:
        asking = self.asking
        return Generator(rows, asking.prompts, asking.sampling, asking.rules, real=asking.real_openings)

    def _cost(self, request: ChatRequest, usage: Usage) -> float | None:
        return self._prices.cost(self.model.provider, request.model, usage)

    def _open_ledger(self) -> Ledger:
        return Ledger(self._ledger_path)

    # -- before anything is bought -------------------------------------------------------------------------------------

    def plan(self) -> dict[str, Any]:
        """Writes the plan, for people to read and edit."""
        self.planning.save()
        rows = self.planning.rows
        facts = {"n_plan": len(rows), "mode": self.mode, "masked": dict(self.planning.material.masked)}
        return {**facts, "attributes": counted(rows), "plan": str(self.planning.path)}

    def dry_run(self) -> dict[str, Any]:
        """Says what the run would ask and cost. Nothing is sent."""
        fake = "Yes, and thank you for looking into it. " * 6
        turns = {row.id: row.turns for row in self.planning.rows}
        asked: list[ChatRequest] = []

        def missing(name: str, key: str, request: ChatRequest) -> Answer:
            asked.append(request)
            row, _, step = name.rsplit("/", 2)
            if self.mode == "turns" and int(step) < turns[row]:
                return Reply(fake, Usage(), "stop", request.model)
            return ModelCallError("a rehearsal.", kind="timeout")  # a kind that is not tried again

        with ExitStack() as stack:
            # A ledger that is not there is not made for this.
            ledger = stack.enter_context(self._open_ledger()) if self._ledger_path.exists() else None
            run_to_end(
                _drained(self._generator(self.planning.rows).run(recorded(ledger, self.model.provider, missing)))
            )
            found = estimate(asked, self.model.provider, self._prices, typical_reply=self._typical_reply(ledger))
        whole = found[0] if found else Estimate(self.model.provider, self.model.name, cost=0.0, most_cost=0.0)
        facts = {
            **asdict(whole),
            "summary": whole.summary,
            "n_plan": len(turns),
            "attempts": self.asking.rules.attempts,
        }
        return {**facts, "mode": self.mode, "warnings": self._price_warnings()}

    def _typical_reply(self, ledger: Ledger | None) -> int:
        known = [row for row in ledger.stats() if row.model == self.model.name and row.answered] if ledger else []
        if not known:
            return TYPICAL[self.mode]
        return max(1, sum(row.output_tokens for row in known) // sum(row.answered for row in known))

    def preview(self, n: int) -> dict[str, Any]:
        """Buys the first rows of the plan, and shows each with the prompt that made it."""
        rows = self.planning.rows[:n]
        found: list[dict[str, Any]] = []
        watched: Watched | None = None

        async def generate(ask: Ask) -> None:
            nonlocal watched
            watched = Watched(ask, self._cost, remember=True)
            async for outcome in self._generator(rows).run(watched):
                if isinstance(outcome, Candidate) or outcome.final:
                    found.append(shown(outcome, watched.requests))

        run_to_end(self._with_model(generate))
        assert watched is not None
        return {"preview": found, "totals": totals(watched.tally, self.model.provider), "mode": self.mode}

    # -- the run -------------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Generates; the facts of `generate/manifest.json`.

        Raises:
            BudgetReached: The next call would pass the budget; what is there is written.
            PosologyError: What else ended the run early, likewise.
        """
        if (done := self._finished()) is not None:
            return done
        for warning in self._price_warnings():
            self.progress.warn(warning)
        facts: dict[str, Any] = run_to_end(self._with_model(self._generated))
        return {**facts, "sent": self._sent}

    def export(self, path: Path) -> dict[str, Any]:
        """Writes the requests that the ledger does not answer, for somebody else to answer."""
        with self._open_ledger() as ledger:
            asked = self._unanswered(ledger)
        n = export_requests(path, asked.values(), self.model.provider)
        return {"n_requests": n, "requests": str(path), "n_plan": len(self.planning.rows)}

    def bring_in(self, path: Path) -> dict[str, Any]:
        """Takes replies from a file into the ledger, and makes of them what can be made."""
        with self._open_ledger() as ledger:
            asked = self._unanswered(ledger)
            if asked:
                brought = import_replies(path, asked)
                calls = [
                    Call(key, self.model.provider, STAGE, asked[key], outcome)
                    for key, outcome in brought.outcomes.items()
                ]
                ledger.write_all(calls)
                if brought.unknown:
                    self.progress.warn(f"{len(brought.unknown)} lines of {path} answer no open request of this plan.")
            try:
                return run_to_end(self._generated(recorded(ledger, self.model.provider, lambda *_: None)))
            except Unanswered:
                warnings = [*self._facts["warnings"], "some requests have no reply yet: export them again."]
                return {**self._facts, "warnings": warnings}

    def _unanswered(self, ledger: Ledger) -> dict[str, ChatRequest]:
        asked: dict[str, ChatRequest] = {}

        def missing(name: str, key: str, request: ChatRequest) -> None:
            asked[key] = request

        with suppress(Unanswered):
            source = recorded(ledger, self.model.provider, missing)
            run_to_end(_drained(self._generator(self.planning.rows).run(source)))
        return asked

    async def _with_model(self, work: Callable[[Ask], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever work gives
        """Work with the model as the source of answers."""
        async with AsyncExitStack() as stack:
            ledger = stack.enter_context(self._open_ledger())
            spent = sum(row.cost for row in ledger.stats())
            budget = Budget(self.settings.budget, self._prices, spent=spent)
            gate = budget.gate(self.model.provider, self.model.name, stage=STAGE)
            folder = self._stage.folder / "batches"
            if self._batch:
                api = batch_api(self.settings.model, self.settings.base_url, self.settings.api_key_env)
                stack.push_async_callback(api.close)
                progress, sent = self.progress, self._submitted
                return await work(
                    batched(api, folder, ledger, gate=gate, cost=self._cost, progress=progress, sent=sent)
                )
            refuse_open_batches(folder, self.model.provider)
            engine = Engine(
                self.model, ledger, limits=self._pace, gate=gate, price=self._cost, progress=self.progress, stage=STAGE
            )
            await stack.enter_async_context(engine)
            try:
                return await work(called(engine))
            finally:
                self._sent = engine.sent

    def _submitted(self, items: int) -> None:
        self._sent += items

    @property
    def _pace(self) -> pace.Limits:
        given = self.settings
        slots = getattr(self.model, "slots", given.concurrency)
        return pace.Limits(slots, given.rpm, given.tpm, given.timeout, given.deadline)

    async def _generated(self, ask: Ask) -> dict[str, Any]:
        """Runs the plan over a source of answers, and writes what comes of it."""
        start, rows = time.perf_counter(), self.planning.rows
        self._stage.begin()
        self.planning.save()
        watched, count, stopped = Watched(ask, self._cost), Count(len(rows)), None

        def spent() -> str:
            costs = [tally.cost for tally in watched.tally.values()]
            known = [cost for cost in costs if cost is not None]
            return f", {self._pipeline.config.report.currency}{sum(known):,.4f}" if any(known) else ""

        with harvest(self._stage.folder, count, self.progress, spent) as take:
            try:
                async for outcome in self._generator(rows).run(watched):
                    take(outcome)
            except PosologyError as error:
                stopped = error  # what is there is written first
        warnings = [*self._price_warnings(), *count.warnings()]
        self._facts = {
            "mode": self.mode,
            "model": self.model.name,
            "provider": self.model.provider,
            "templates": self.asking.prompts.version,
            "seed": self.settings.seed,
            **count.facts(),
            "masked": dict(self.planning.material.masked),
            "totals": totals(watched.tally, self.model.provider),
            "prices": self._prices.source(),
            "warnings": warnings,
        }
        if stopped is not None:
            self.progress.note(
                f"{count.ended:,} of {count.total:,} rows ended before this; they are in {self._stage.folder}"
            )
            raise stopped
        seconds = {"total": time.perf_counter() - start}
        files = [CANDIDATES, REJECTED, ATTEMPTS, planning.PLAN]
        self._stage.finish(self.asking.identity, files=files, timings=seconds, **self._facts)
        for warning in count.warnings():
            self.progress.warn(warning)
        return self._facts

    def _finished(self) -> dict[str, Any] | None:
        """The facts of a run that ended with these very inputs and settings."""
        if not self._stage.is_done(self.asking.identity):
            return None
        self.progress.note(f"nothing changed since the last run; read from {self._stage.folder}")
        return {**(self._stage.manifest or {}), "sent": 0}

    def _price_warnings(self) -> list[str]:
        if self._prices.price(self.model.provider, self.model.name) is not None:
            return []
        return [
            f"the price of {self.model.name} is not known, so no cost is reckoned; give it under `prices:` in "
            "posology.yaml."
        ]


async def _drained(outcomes: AsyncIterator[Outcome]) -> None:
    async for _ in outcomes:
        pass
