"""From flags to the validated configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from posology.config import Config

DEFAULT = Path("posology.yaml")

PLACES = {
    "real": "data.real",
    "synthetic": "data.synthetic",
    "holdout": "data.holdout",
    "traffic": "data.traffic",
    "docs": "data.docs",
    "catalog": "data.catalog",
    "format": "data.format",
    "on_error": "data.on_error",
    "id_column": "data.columns.id",
    "topic_column": "data.columns.topic",
    "text_column": "data.columns.text",
    "messages_column": "data.columns.messages",
    "roles": "text.roles",
    "max_turns": "text.max_turns",
    "holdout_size": "split.holdout_size",
    "split_seed": "split.seed",
    "encoder": "embedding.encoder",
    "budget": "gaps.budget",
    "weights": "gaps.weights",
    "tail_max_real": "gaps.tail_max_real",
    "model": "generate.model",
    "chat_url": "generate.base_url",
    "chat_key": "generate.api_key_env",
    "mode": "generate.mode",
    "count": "generate.count",
    "generate_seed": "generate.seed",
    "temperature": "generate.temperature",
    "templates": "generate.templates",
    "concurrency": "generate.concurrency",
    "rpm": "generate.rpm",
    "tpm": "generate.tpm",
    "money": "generate.budget",
    "ledger": "generate.ledger",
    "judge": "verify.judges",
    "judge_url": "verify.base_url",
    "generator": "verify.generator",
    "allow_same_family": "verify.allow_same_family",
    "judge_sample": "verify.judge_sample",
    "judge_holdout": "verify.judge_holdout",
    "judge_batch": "verify.batch",
    "judge_money": "verify.budget",
    "judge_concurrency": "verify.concurrency",
    "verify_first": "verify.enabled",
    "strategy": "select.strategy",
    "keep_rate": "select.keep_rate",
    "most": "select.count",
    "near": "select.near",
    "semantic": "select.semantic",
    "design": "mix.design",
    "doses": "mix.doses",
    "controls": "mix.controls",
    "synthetic_weight": "mix.synthetic_weight",
    "trainer": "sweep.trainer",
    "seeds": "sweep.seeds",
    "jobs": "sweep.jobs",
    "adaptive": "sweep.adaptive",
    "label_cost": "report.label_cost",
    "out": "out",
}


def settings(flags: Mapping[str, object]) -> Config:
    """The configuration file, or ./posology.yaml if there is one, with the given flags on top.

    Args:
        flags: The parameters of a verb, as `locals()` has them at its start: names of `PLACES` and their values (None:
            not given), `config`, and others that are no settings and are left alone.

    Raises:
        ConfigError: Something in it is wrong.
    """
    from posology.config import load

    named = flags.get("config")
    path = named if isinstance(named, Path) else DEFAULT if DEFAULT.is_file() else None
    overrides = {place: flags[name] for name, place in PLACES.items() if name in flags}
    if isinstance(roles := overrides.get("text.roles"), str):
        overrides["text.roles"] = tuple(role.strip() for role in roles.split(","))
    return load(path, overrides)
