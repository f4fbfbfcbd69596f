"""Runs the self-consuming loop on real data, and measures each generation: accuracy, rare topics, diversity."""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology import fingerprint
from posology.collapse.diagnosis import Diagnosis
from posology.collapse.recursion import Generation, Policy, run_loop
from posology.collapse.surrogate import FitGenerator, Trigrams
from posology.collapsing import diagnose_arms
from posology.config import Config
from posology.embedding.embedder import Embedder
from posology.errors import InputError
from posology.pipeline import Pipeline
from posology.progress import Progress, Silent
from posology.records import Conversation, Mixture
from posology.report.collapse_page import write_page
from posology.report.pages import link_pages
from posology.report.recursion_page import build
from posology.screening import Screening
from posology.store import write_json
from posology.threads import single_threaded
from posology.training.contract import Trainer, Variant
from posology.training.head import HeadTrainer

SCHEMA_VERSION = 1
RESULT, PAGE = "recursion.json", "recursion.html"
SMALLEST = 40
CURVES = ("vendi", "coverage", "distinct_2", "vocabulary_growth", "topics_missing", "far_out")
GRAVE = (
    0.1  # share of the accuracy on real data alone; who has surely lost more is collapsing, who has lost less eroding
)
SURROGATE = "surrogate: interpolated word trigrams by topic"


def _right(trainer: Trainer, mixture: Sequence[Conversation], holdout: Sequence[Conversation]) -> NDArray[np.bool_]:
    """Which held-out conversations a bot gets right that learned from the mixture."""
    told = zip(_answers(_trained(trainer, mixture), holdout), holdout, strict=True)
    return np.array([answer == c.topic for answer, c in told])


def _trained(trainer: Trainer, mixture: Sequence[Conversation]) -> Variant:
    """A bot that learned from a mixture, every row at full weight."""
    real, synthetic = (tuple(c for c in mixture if c.source == source) for source in ("real", "synthetic"))
    with single_threaded(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # so it is in small loops
        return trainer.fit(Mixture(0.0, "selected", "replace", 0, real, synthetic))


def _answers(variant: Variant, conversations: Sequence[Conversation]) -> list[str]:
    predictions = variant.predict(conversations)
    return [predictions.topics[i] for i in predictions.probabilities.argmax(axis=1)]


def measure_loop(
    real: Sequence[Conversation],
    generations: Iterable[Generation],
    holdout: Sequence[Conversation],
    trainer: Trainer,
    embedder: Embedder,
    *,
    tail_max_real: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """One entry a generation: what its mixture teaches, and how far what it wrote is from real text.

    Args:
        real: The data that the loop began with.
        generations: The loop, generation 0 first.
        holdout: Real conversations that the loop never sees.
        trainer: Prepared; trains a bot on each mixture, every row at full weight.
        embedder: Text to vectors.
        tail_max_real: A rare topic has at most so many real rows.
        seed: Decides the draws of the diagnosis.
        progress: Told after each generation.
    """
    counts = Counter(c.label for c in real)
    tail = np.array([counts[c.label] <= tail_max_real for c in holdout])
    rows: list[dict[str, Any]] = []
    written: dict[int, tuple[Conversation, ...]] = {}
    base: NDArray[np.bool_] | None = None
    for generation in generations:
        right = _right(trainer, generation.mixture, holdout)
        base = right if base is None else base
        written[generation.number] = generation.written
        rows.append(
            {
                "generation": generation.number,
                "n_candidates": generation.n_candidates,
                "n_written": len(generation.written),
                "n_mixture": len(generation.mixture),
                "n_real": sum(c.source == "real" for c in generation.mixture),
                "topics": len({c.label for c in generation.mixture}),
                "accuracy": _mean(right),
                "tail_recall": _mean(right[tail]) if tail.any() else None,
                "delta": _difference(right, base),
            }
        )
        (progress or Silent()).note(
            f"generation {generation.number}: accuracy {rows[-1]['accuracy']:.3f}, {rows[-1]['topics']} topics"
        )
    kept = {number: rows_of for number, rows_of in written.items() if rows_of}
    diagnoses = diagnose_arms(real, kept, embedder.encode, embedder.rule, seed=seed)
    for row in rows:
        row |= _diversity(diagnoses.get(int(row["generation"])))
    if len(rows) > 1 and (first := rows[1]["diversity"]):  # generation 0 is what the others are held against
        rows[0]["diversity"] = {name: found | {"value": found["real"]} for name, found in first.items()}
    return rows


def _diversity(diagnosis: Diagnosis | None) -> dict[str, Any]:
    """Values and real means of a few indicators, and which of all have moved."""
    if diagnosis is None:
        return {"diversity": None, "moved": []}
    readings = {reading.indicator.name: reading for reading in diagnosis.readings}
    curves = {
        name: {
            "value": round(readings[name].value, 5),
            "real": round(readings[name].null_mean, 5),
            "real_range": [round(end, 5) for end in readings[name].null_ci95],
        }
        for name in CURVES
        if name in readings
    }
    return {"diversity": curves, "moved": [reading.indicator.name for reading in diagnosis.faults]}


def _mean(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 5)


def _difference(right: NDArray[np.bool_], base: NDArray[np.bool_]) -> dict[str, Any]:
    """Accuracy less that of generation 0, paired, with its 95 % interval.

    Two pseudo-discordant pairs are added, as by Bonett and Price ("Adjusted Wald Confidence Interval for a Difference
    of Binomial Proportions with Paired Data", 2012).
    """
    n = len(right) + 2
    won, lost = int((right & ~base).sum()) + 1, int((base & ~right).sum()) + 1
    mean = (won - lost) / n
    error = math.sqrt(((won + lost) / n - mean**2) / n)
    told = [round(mean + way * 1.96 * error, 5) for way in (-1, 1)]
    return {"mean": round(float(right.mean() - base.mean()), 5), "ci95": told}


def recurse(
    config: Config,
    progress: Progress | None = None,
    *,
    generations: int = 5,
    policies: Sequence[Policy] = ("replace",),
    verify: Sequence[bool] = (False,),
    fit: FitGenerator = Trigrams.fit,
    generator: str = SURROGATE,
    size: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The verb: runs the loop for every policy, with or without verification, and writes `recurse/` of the run folder.

    Args:
        config: `data.real` is needed; without a holdout one is split off.
        progress: Told what happens.
        generations: How many after real data.
        policies: What each generation learns from.
        verify: Whether candidates are verified; both may be given.
        fit: Makes a generator; the surrogate by default.
        generator: What to call it in the result.
        size: How many real rows to begin with, drawn at random, hence how many each generation writes; None for all.
        seed: Decides every draw.

    Returns:
        The content of `recurse/recursion.json`.

    Raises:
        InputError: Real data is too small, or has no text.
        UsageError: The run folder holds a sweep on another split.
    """
    progress = progress or Silent()
    start = time.perf_counter()
    with Pipeline(config, progress) as pipeline:
        parts, trainer = pipeline.parts, pipeline.trainer
        real = _beginning(config, parts.train, size, seed)
        screening = _screening(pipeline, real) if any(verify) else None
        stage = pipeline.folder.stage("recurse")
        stage.begin()
        runs = []
        for policy, verified in product(policies, verify):
            progress.note(_name(policy, verified))
            verifier = screening if verified else None
            loop = run_loop(
                real, fit, generations=generations, policy=policy, verify=verifier, rule=config.text.rule, seed=seed
            )
            rows = measure_loop(
                real,
                loop,
                parts.holdout,
                trainer,
                pipeline.embedder,
                tail_max_real=config.gaps.tail_max_real,
                seed=seed,
                progress=progress,
            )
            if verifier is not None:
                rows = [row | {"rejected": why} for row, why in zip(rows, [{}, *verifier.told()], strict=False)]
            runs.append(_run(policy, verified, rows, generations))
            for warning in runs[-1]["warnings"]:
                progress.warn(warning)
        result = {
            "schema_version": SCHEMA_VERSION,
            "generator": generator,
            "seed": seed,
            "n_real": len(real),
            "holdout": {"n": len(parts.holdout)},
            "runs": runs,
            "warnings": [*parts.warnings, *_warnings(runs)],
            "identity": {"encoder": pipeline.embedder.identity, "trainer": trainer.identity},
        }
        write_json(stage.folder / RESULT, result)
        write_page(stage.folder / PAGE, build(result, title=config.report.title))
        link_pages(config.out)
        stage.finish(
            fingerprint.of("recurse", real=fingerprint.of_conversations(real), runs=[policies, verify], seed=seed),
            files=[RESULT, PAGE],
            timings={"total": time.perf_counter() - start},
            seeds=[seed],
            warnings=result["warnings"],
        )
    return result


def _beginning(config: Config, train: Sequence[Conversation], size: int | None, seed: int) -> list[Conversation]:
    """The real rows that the loop begins with: those with text, or `size` of them, drawn at random."""
    real = [c for c in train if config.text.rule.text(c)]
    if len(real) < SMALLEST:
        raise InputError(
            f"{len(real)} real training conversations have text; the loop needs {SMALLEST}.",
            file=config.data.real,
            remedy="Give more, a smaller --holdout-size, or name the roles to be read with --roles.",
        )
    if size is None or size >= len(real):
        return real
    return [real[i] for i in np.sort(np.random.default_rng(seed).choice(len(real), size, replace=False))]


def _screening(pipeline: Pipeline, real: Sequence[Conversation]) -> Screening:
    """What a sweep would do with a pool that knew of no other real data than what the loop begins with."""
    config, embedder, parts = pipeline.config, pipeline.embedder, replace(pipeline.parts, train=tuple(real))
    if len(real) == len(pipeline.parts.train):
        return Screening(config, pipeline.material, parts, pipeline.validation, embedder)
    head = HeadTrainer(embedder, config.sweep.jobs)
    head.prepare(real)
    assert head.cross_validation is not None
    return Screening(config, pipeline.material, parts, head.cross_validation, embedder)


def _run(policy: Policy, verified: bool, rows: list[dict[str, Any]], generations: int) -> dict[str, Any]:
    """One run of the loop, with its verdict."""
    last, ended_early = rows[-1], len(rows) <= generations
    low, high = last["delta"]["ci95"]
    if ended_early or high < -GRAVE * rows[0]["accuracy"]:
        status = "collapsing"
    else:
        status = "eroding" if high < 0 else "holding"
    said = (
        f"{_name(policy, verified)}: accuracy {rows[0]['accuracy']:.1%} before, {last['accuracy']:.1%} after "
        f"{last['generation']} generations ({100 * low:+.1f} to {100 * high:+.1f} points)."
    )
    if ended_early:
        said += f" It ended at generation {last['generation']}: nothing usable was written."
    warned = _short(rows) if verified else []
    told = {"policy": policy, "verify": verified, "generations": rows, "status": status, "verdict": said}
    return told | {"warnings": [f"{_name(policy, verified)}: {warning}" for warning in warned]}


def _short(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Says which generations were left with fewer rows than wanted."""
    wanted = rows[0]["n_mixture"]
    short = {row["generation"]: row["n_written"] for row in rows[1:] if row["n_written"] < wanted}
    if not short:
        return []
    left = ", ".join(f"{n:,} in generation {number}" for number, n in short.items())
    return [
        f"of the {wanted:,} rows wanted a generation, verification left {left}. What is lost by learning from fewer "
        "rows is in these figures too."
    ]


def _name(policy: Policy, verified: bool) -> str:
    return f"policy {policy}, verification {'on' if verified else 'off'}"


def _warnings(runs: Sequence[dict[str, Any]]) -> list[str]:
    found = [f"{run['verdict']} The loop is {run['status']}." for run in runs if run["status"] != "holding"]
    return found + [warning for run in runs for warning in run["warnings"]]
