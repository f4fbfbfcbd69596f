"""What was paid to models, by stage and model, and what generation made of it: from the manifests of the stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class CostRow(_Part):
    """The calls of one stage to one model; `cost` is None where its price is not known."""

    stage: str
    provider: str
    model: str
    calls: int
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None

    @property
    def place(self) -> str:
        """The provider without the hash of a local file."""
        return " ".join(self.provider.split()[:2])


class Generated(_Part):
    """How the rows of a plan ended."""

    n_plan: int
    n_candidates: int
    n_rejected: int = 0
    n_attempts: int = 0
    mode: str = ""
    rejected: dict[str, int] = {}


def rows(manifests: Mapping[str, Mapping[str, Any]]) -> list[CostRow]:
    """Every stage's calls, in the order of the pipeline; entries that are damaged are left out."""
    found = []
    for manifest in manifests.values():
        totals = manifest.get("totals")
        for entry in totals if isinstance(totals, list) else ():
            try:
                found.append(CostRow.model_validate(entry))
            except ValidationError:
                continue
    return found


def total(costs: list[CostRow]) -> float | None:
    """All of it; None where a price is not known."""
    known = [row.cost for row in costs if row.cost is not None]
    return sum(known) if len(known) == len(costs) else None


def generated(manifests: Mapping[str, Mapping[str, Any]]) -> Generated | None:
    """What the stage `generate` counted; None if it did not run."""
    try:
        return Generated.model_validate(manifests["generate"])
    except (KeyError, ValidationError):
        return None
