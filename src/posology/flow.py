"""The whole flow of a run: conversations are generated where no pool is given, swept, and reported."""

from __future__ import annotations

from typing import Any

from posology.generating import Generation
from posology.pipeline import Pipeline


def run(pipeline: Pipeline) -> dict[str, Any]:
    """Everything that the settings say; each stage that is already done with the same inputs is read, not run.

    Args:
        pipeline: An open run.

    Returns:
        The content of `sweep/dose_response.json`, with `generated` (the facts of `generate/manifest.json`, None where a
        pool was given) and `report`, the path of the report.

    Raises:
        BudgetReached: Generation would pass its budget; what is there is written, and nothing is swept.
        PosologyError: See `posology.errors`.
    """
    pipeline.may_split_again = True  # what is generated is swept
    generated = Generation(pipeline).run() if pipeline.config.data.synthetic is None else None
    result = pipeline.sweep()
    return {**result, "generated": generated, "report": str(pipeline.report())}
