"""One validated tree of settings, behind posology.yaml and the flags of every verb.

The file is read whole and checked before anything is spent. A path in it is relative to the file; a path given as a
flag is relative to the working directory. Unknown keys are errors, with the nearest known key.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from posology.errors import ConfigError
from posology.records import ROLES, TextRule

# What may be left out of verification: every check that needs no model. Leaks into the holdout are always looked for.
CHECKS = (
    "roles empty_turn repeated_turn placeholder disclaimer meta_talk markup truncated repetition politeness_loop "
    "faithful real_datum verbatim_span personal_data label_agreement real_likeness"
).split()

PATHS = {
    "data": ("real", "synthetic", "holdout", "traffic", "docs", "catalog"),
    "generate": ("templates", "personas", "ledger"),
    "verify": ("templates", "ledger"),
}


def parse_dose(value: object) -> float:
    """Reads one dose: a share (`0.3`) or a percentage (`30%`).

    Raises:
        ValueError: It is not a number, or lies outside 0..1.
    """
    text = str(value).strip()
    try:
        dose = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a dose; write a share such as 0.3 or a percentage such as 30%") from None
    if not 0 <= dose <= 1:
        raise ValueError(f"dose {text} is outside 0..1: it is a share, n_synthetic / (n_real + n_synthetic)")
    return round(dose, 6)


def parse_doses(value: object) -> list[float]:
    """Reads doses from a list or from text such as `0,0.1,30%`; sorted, distinct, dose 0 always among them."""
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    return sorted({0.0, *(parse_dose(item) for item in items if str(item).strip())})


def parse_seeds(value: object) -> list[int]:
    """Reads seeds: how many (`5` is 0..4) or which (`3,7` or a list)."""
    if isinstance(value, str) and "," not in value:
        value = int(value)
    if isinstance(value, int):
        if value < 1:
            raise ValueError("at least one seed is needed")
        return list(range(value))
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not items:
        raise ValueError("seeds are a number (how many) or a list such as 0,1,2")
    seeds = sorted({int(item) for item in items})
    if seeds[0] < 0:
        raise ValueError("a seed is 0 or more")
    return seeds


def _known_roles(roles: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted(set(roles) - ROLES)
    if unknown or not roles:
        raise ValueError(f"unknown roles {unknown}; known are {sorted(ROLES)}")
    return roles


def _known_checks(names: list[str]) -> list[str]:
    if unknown := sorted(set(names) - set(CHECKS)):
        raise ValueError(f"unknown checks {unknown}; known are {', '.join(CHECKS)}")
    return names


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ColumnNames(_Section):
    """Which column (or key) of a row holds what; None: found by itself."""

    id: str | None = None
    topic: str | None = None
    text: str | None = None
    messages: str | None = None


class Data(_Section):
    """Where the data is and how to read it."""

    real: Path | None = None
    synthetic: Path | None = None
    holdout: Path | None = None
    traffic: Path | None = None
    docs: Path | None = None
    catalog: Path | None = None
    topics: list[str] = []
    format: str = "auto"
    columns: ColumnNames = ColumnNames()
    on_error: Literal["fail", "skip"] = "fail"


class Text(_Section):
    """How a conversation becomes one text: which roles' turns, and how many of them."""

    roles: Annotated[tuple[str, ...], AfterValidator(_known_roles)] = ("user",)
    max_turns: Annotated[int, Field(ge=1)] | None = None

    @property
    def rule(self) -> TextRule:
        """The rule as the stages know it."""
        return TextRule(self.roles, self.max_turns)


class Split(_Section):
    """How the holdout is set apart when none is given."""

    holdout_size: Annotated[int, Field(ge=1)] = 200
    seed: Annotated[int, Field(ge=0)] = 0


class Embedding(_Section):
    """Text to vectors."""

    encoder: str = "minilm"
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    cache: bool = True


class Gaps(_Section):
    """What is missing, and how much of it to ask for."""

    budget: Annotated[int, Field(ge=0)] = 500
    weights: Literal["uniform", "frequency"] = "uniform"
    tail_max_real: Annotated[int, Field(ge=0)] = 5


class Generate(_Section):
    """Who writes conversations, how, and at what pace and price. None: what suits the model and the mode."""

    model: str = "local:"
    base_url: str | None = None
    api_key_env: str | None = None
    mode: Literal["dialogue", "turns", "message", "continuation"] | None = None
    count: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    language: str = "en"
    templates: Path | None = None
    personas: Path | None = None
    built_in_personas: bool = True
    temperature: Annotated[float, Field(ge=0)] | None = 0.9
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    prompt_tokens: Annotated[int, Field(ge=1)] | None = None
    structured: bool = True
    send_seed: bool = True
    extra: dict[str, Any] = {}
    attempts: Annotated[int, Field(ge=1)] = 3
    feedback: bool = True
    concurrency: Annotated[int, Field(ge=1)] = 32
    rpm: Annotated[float, Field(gt=0)] | None = None
    tpm: Annotated[float, Field(gt=0)] | None = None
    timeout: Annotated[float, Field(gt=0)] = 120.0
    deadline: Annotated[float, Field(gt=0)] | None = None
    budget: Annotated[float, Field(ge=0)] | None = None
    ledger: Path | None = None

    @property
    def chosen_mode(self) -> Literal["dialogue", "turns", "message", "continuation"]:
        """The mode, or what suits the model: the embedded one is too small for anything but continuing a list."""
        return self.mode or ("continuation" if self.model == "local:" else "dialogue")


class ModelPrice(_Section):
    """What a model costs, for a million tokens each; `call` for one call, whatever its length."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cached: Annotated[float, Field(ge=0)] | None = None
    call: Annotated[float, Field(ge=0)] = 0.0


class Judge(_Section):
    """A model that judges candidates, where a name alone does not say how it is reached."""

    model: str
    base_url: str | None = None
    api_key_env: str | None = None


class Verify(_Section):
    """Which checks run, who judges candidates, how, and at what pace and price; and what their scores weigh.

    None for `judge_holdout`: judges on this machine alone are shown held-out conversations.
    """

    enabled: bool = True
    skip: Annotated[list[str], AfterValidator(_known_checks)] = []
    detector: Literal["builtin", "presidio"] = "builtin"
    judges: list[str | Judge] = []
    base_url: str | None = None
    generator: str | None = None
    evaluator: str | None = None
    families: dict[str, str] = {}
    allow_same_family: bool = False
    judge_sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    judge_holdout: bool | None = None
    order_sample: Annotated[float, Field(ge=0, le=1)] = 0.1
    floor: Annotated[float, Field(ge=1, le=5)] = 3.0
    disagreement: Annotated[float, Field(ge=0, le=4)] = 2.0
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    min_composite: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    templates: Path | None = None
    temperature: Annotated[float, Field(ge=0)] | None = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 800
    structured: bool = True
    attempts: Annotated[int, Field(ge=1)] = 2
    extra: dict[str, Any] = {}
    concurrency: Annotated[int, Field(ge=1)] = 32
    rpm: Annotated[float, Field(gt=0)] | None = None
    tpm: Annotated[float, Field(gt=0)] | None = None
    timeout: Annotated[float, Field(gt=0)] = 120.0
    budget: Annotated[float, Field(ge=0)] | None = None
    ledger: Path | None = None
    batch: bool = False

    @model_validator(mode="after")
    def _batches_of_somebody(self) -> Self:
        if self.batch and not self.judges:
            raise ValueError("batches need a judge: name one with --judge or verify.judges, or leave --batch out")
        return self


class Select(_Section):
    """Which candidates are kept, and in which order they are used. None for a keep rate: learned on real folds."""

    strategy: Literal["coverage", "top", "random", "all"] = "coverage"
    keep_rate: Annotated[
        Annotated[float, Field(gt=0, le=1)] | None, BeforeValidator(lambda value: None if value == "learned" else value)
    ] = None
    count: Annotated[int, Field(ge=1)] | None = None
    near: Annotated[float, Field(ge=0.7, le=1)] = 0.85
    semantic: Annotated[float, Field(ge=0.9, le=1)] = 0.97
    seed: Annotated[int, Field(ge=0)] = 0


class Mix(_Section):
    """Doses and how they are reached. None for the weight: learned on real folds."""

    design: Literal["augment", "replace"] = "augment"
    doses: Annotated[list[float], BeforeValidator(parse_doses)] = [0.0, 0.1, 0.3, 0.5, 1.0]
    controls: bool = True
    synthetic_weight: Annotated[
        Annotated[float, Field(gt=0, le=1)] | None, BeforeValidator(lambda value: None if value == "learned" else value)
    ] = None


class Sweep(_Section):
    """Training and evaluating every arm."""

    trainer: str = "head"
    seeds: Annotated[list[int], BeforeValidator(parse_seeds)] = [0, 1, 2, 3, 4]
    jobs: Annotated[int, Field(ge=1)] = 2
    adaptive: Annotated[int, Field(ge=1)] | None = None
    bootstrap: Annotated[int, Field(ge=200)] = 4000
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.02
    learning_curve: bool = True
    indicators: bool = True


class Report(_Section):
    """Money and title of the report."""

    label_cost: Annotated[float, Field(ge=0)] = 4.0
    currency: str = "$"
    title: str | None = None


class Card(_Section):
    """What the dataset card of an exported training set says."""

    licence: str | None = None
    intended_use: str | None = None


class Config(_Section):
    """Everything that a run needs to know."""

    data: Data = Data()
    text: Text = Text()
    split: Split = Split()
    embedding: Embedding = Embedding()
    gaps: Gaps = Gaps()
    generate: Generate = Generate()
    prices: dict[str, ModelPrice] = {}
    verify: Verify = Verify()
    select: Select = Select()
    mix: Mix = Mix()
    sweep: Sweep = Sweep()
    report: Report = Report()
    card: Card = Card()
    out: Path = Path("run")

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON, with absolute paths; `load` reads it."""
        tree = self.model_dump(mode="json")
        for section, keys in PATHS.items():
            tree[section] |= {key: str(Path(tree[section][key]).absolute()) for key in keys if tree[section][key]}
        return tree | {"out": str(self.out.absolute())}


def load(path: Path | None, overrides: Mapping[str, object] | None = None) -> Config:
    """Reads the settings.

    Args:
        path: posology.yaml, or None for the defaults.
        overrides: Dotted keys (`mix.doses`) and values; None means: not given.

    Returns:
        The validated tree.

    Raises:
        ConfigError: The file is missing, is no YAML, or a key or value is wrong; all problems are named at once.
    """
    tree = _read(path) if path is not None else {}
    for key, value in (overrides or {}).items():
        if value is None:
            continue
        *sections, last = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{path}: {section} must hold keys and values.", remedy="See `posology init`.")
        place[last] = value
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        given = {key for key, value in (overrides or {}).items() if value is not None}
        problems = "; ".join(
            f"{'the settings' if path is None or _is_given(item, given) else path}: {_problem(item)}"
            for item in error.errors()
        )
        raise ConfigError(f"{problems}.", remedy="Correct this and run again; nothing was spent.") from None


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist.", remedy="Write one with `posology init`.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", remedy="It must be a UTF-8 text file.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line} is not valid YAML.", remedy="Check indentation and quotes.") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold sections such as `data:` and `mix:`.", remedy="See `posology init`.")
    # A section whose keys are all commented out is an empty one.
    tree = {key: {} if value is None else value for key, value in tree.items()}
    _anchor_paths(tree, path.parent)
    return tree


def _anchor_paths(tree: dict[str, Any], folder: Path) -> None:
    """Makes the file's own relative paths relative to the file."""
    for name, keys in PATHS.items():
        section = tree.get(name)
        if isinstance(section, dict):
            for key in keys:
                if isinstance(section.get(key), str):
                    section[key] = str(folder / section[key])
    if isinstance(tree.get("out"), str):
        tree["out"] = str(folder / tree["out"])


def _is_given(item: Mapping[str, Any], given: Collection[str]) -> bool:
    """Whether a value that is wrong came as an argument, and not from the file."""
    place = ".".join(str(part) for part in item["loc"])
    return any(place == key or f"{place}.".startswith(f"{key}.") or key.startswith(f"{place}.") for key in given)


def _problem(item: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] != "extra_forbidden":
        return f"{place}: {str(item['msg']).removeprefix('Value error, ')}"
    near = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(item["loc"][:-1]), n=1)
    return f"{place}: unknown key" + (f", did you mean {near[0]!r}?" if near else "")


def _known_keys(sections: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for section in sections:
        annotation = model.model_fields[str(section)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return list(model.model_fields)
