"""Every prediction of a sweep, one row each, for audits and for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posology.records import ArmResult, Conversation
from posology.store import writing


def write_predictions(
    path: Path, results: Sequence[ArmResult], holdout: Sequence[Conversation], topics: Sequence[str]
) -> None:
    """Writes `id, topic, dose, kind, seed, predicted, probability` as Parquet, arm by arm, seed by seed.

    Args:
        path: The file.
        results: The arms.
        holdout: The n conversations, in the order of the predictions.
        topics: What the predicted indices stand for.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = pa.array(topics, pa.string())
    ids = pa.array([c.id for c in holdout], pa.string())
    truth = pa.array([c.topic for c in holdout], pa.string())
    n = len(holdout)
    schema = pa.schema(
        {
            "id": pa.string(),
            "topic": pa.string(),
            "dose": pa.float64(),
            "kind": pa.string(),
            "seed": pa.int64(),
            "predicted": pa.string(),
            "probability": pa.float32(),
        }
    )
    with writing(path, binary=True) as handle, pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        for arm in results:
            for row, seed in enumerate(arm.seeds):
                columns = [
                    ids,
                    truth,
                    pa.array(np.full(n, arm.dose)),
                    pa.array([arm.kind] * n, pa.string()),
                    pa.array(np.full(n, seed, dtype=np.int64)),
                    names.take(pa.array(arm.predicted[row])),
                    pa.array(arm.probability[row], pa.float32()),
                ]
                writer.write_table(pa.table(columns, schema=schema))
