"""The sweep's result file as typed values: `sweep/dose_response.json`, checked whole before a word is written.

The parts that every sweep has (arms, recommendation, holdout) are required; the others may be missing, and their
section of the report then says so. Unknown keys are ignored, so that a newer sweep can still be read.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from posology import store
from posology.errors import StoreError
from posology.records import ArmKind, Design

FILE = Path("sweep", "dose_response.json")

Status = Literal["better", "no_worse", "inconclusive", "harmful"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Bounds = tuple[float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Measure(_Part):
    """A mean over seeds and its 95 % interval; shares in [0, 1], or a difference of two."""

    mean: float
    ci95: Bounds | None = None


class Delta(Measure):
    """A paired difference from real only; the interval holds simultaneously over all arms."""

    p_adjusted: float | None = None


class Arm(_Part):
    """One dose, as selected or as its same-size random control."""

    dose: Share
    kind: ArmKind
    actual_dose: Share
    n_real: Count
    n_synthetic: Count
    n_pool_short: Count = 0
    accuracy: Measure
    macro_recall: Measure | None = None
    tail_recall: Measure | None = None
    delta_vs_real_only: Delta
    delta_vs_random: Measure | None = None
    ece: float | None = None

    @property
    def told_dose(self) -> float:
        """The dose to speak of: as asked for, or as far as the pool reached."""
        return self.actual_dose if self.n_pool_short else self.dose


class Holdout(_Part):
    """The real conversations that everything was measured on."""

    n: Annotated[int, Field(ge=1)]
    n_groups: Count | None = None
    smallest_resolvable_difference: Share | None = None


class Recommendation(_Part):
    """What the sweep concludes. The dose is 0 where real data only is kept."""

    dose: Share
    status: Status
    reason: str = ""
    prob_best: dict[str, Share] = {}


class Cliff(_Part):
    """The sharpest loss between two neighbouring doses; `dose` is the higher one."""

    detected: bool = False
    dose: Share | None = None
    drop: float | None = None
    ci95: Bounds | None = None


class Curve(_Part):
    """The smooth dose-response curve and its band, at `doses`."""

    method: str = ""
    doses: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]

    @model_validator(mode="after")
    def _same_length(self) -> Curve:
        if len({len(self.doses), len(self.mean), len(self.low), len(self.high)}) != 1:
            raise ValueError("the lists of the curve differ in length")
        return self


class Assumed(_Part):
    """What the power figures rest on."""

    accuracy: float | None = None
    discordance: float | None = None
    source: str = ""


class Detectable(_Part):
    """The power to see one true difference, and the holdout that would see it 8 times in 10."""

    difference: float
    power: Share
    n_for_80: Count | None = None


class Power(_Part):
    """What the holdout can and cannot resolve."""

    assumed: Assumed = Assumed()
    detectable: list[Detectable] = []
    sentence: str = ""


class TopicRow(_Part):
    """One topic with real data only and at the compared dose."""

    topic: str
    n_real: Count
    n_synthetic: Count | None = None
    n_holdout: Count
    recall_real_only: Share | None = None
    recall_compared: Share | None = None

    @property
    def change(self) -> float | None:
        """Recall gained, None where the holdout has no conversation of the topic."""
        if self.recall_real_only is None or self.recall_compared is None:
            return None
        return self.recall_compared - self.recall_real_only


class Topics(_Part):
    """Recall by topic."""

    compared_dose: Share | None = None
    tail_max_real: Count = 5
    rows: list[TopicRow] = []


class Confusion(_Part):
    """How often one topic was taken for another, mean counts over seeds."""

    topic: str
    predicted: str
    before: float
    after: float


class LearningPoint(_Part):
    """The accuracy of so many real conversations alone."""

    n_real: Annotated[int, Field(ge=1)]
    accuracy: float
    ci95: Bounds | None = None


class Fit(_Part):
    """The law `a - b * n^-c` fitted to the learning curve."""

    law: str = ""
    a: float
    b: float
    c: Annotated[float, Field(ge=0, le=10)]

    def accuracy(self, n_real: float) -> float:
        """What the law says of `n_real` > 0 real conversations."""
        return float(self.a - self.b * n_real**-self.c)


class Labels(_Part):
    """What the synthetic data is worth in real labels; `equivalent_labels` come on top of the real data at hand."""

    label_cost: float | None = None
    currency: str = "$"
    learning_curve: list[LearningPoint] = []
    fit: Fit | None = None
    equivalent_labels: Annotated[float, Field(ge=0)] | None = None
    ci95: tuple[float, float | None] | None = None
    saved: float | None = None
    note: str = ""


class Indicator(_Part):
    """One indicator of collapse at one dose, and the range of real text."""

    name: str
    title: str
    family: str = ""
    value: float
    null_ci95: Bounds
    deviation: float = 0.0
    verdict: Literal["ok", "narrow", "flat", "shifted"]


class CollapseArm(_Part):
    """The synthetic part of one dose held against real text."""

    dose: Share
    n_synthetic: Count
    collapsed: bool
    indicators: list[Indicator]

    def reading(self, name: str) -> Indicator | None:
        """One indicator, None if it was not measured here."""
        return next((row for row in self.indicators if row.name == name), None)


class Moved(_Part):
    """An indicator, and the lowest dose from which on it stays outside the range of real text."""

    dose: Share
    indicator: str


class Collapse(_Part):
    """The indicators of collapse beside the accuracy of every dose."""

    arms: list[CollapseArm] = []
    first_to_move: list[Moved] = []
    before_cliff: list[str] = []

    @property
    def moved(self) -> list[Indicator]:
        """The indicators that left the range of real text at some dose, the first to move first."""
        titles = {row.name: row for arm in self.arms for row in arm.indicators}
        first = [row.indicator for row in self.first_to_move]
        others = [row.name for arm in self.arms for row in arm.indicators if row.verdict != "ok"]
        return [titles[name] for name in dict.fromkeys([*first, *others]) if name in titles]


class DoseResponse(_Part):
    """The whole of `sweep/dose_response.json`."""

    schema_version: Literal[1]
    design: Design
    trainer: str = ""
    seeds: list[int]
    metric: str = "accuracy"
    holdout: Holdout
    arms: list[Arm]
    recommendation: Recommendation
    cliff: Cliff = Cliff()
    curve: Curve | None = None
    power: Power | None = None
    topics: Topics | None = None
    confusions: list[Confusion] | None = None
    labels: Labels | None = None
    collapse: Collapse | None = None
    rejected: dict[str, Count] = {}
    warnings: list[str] = []
    identity: dict[str, Any] = {}

    @model_validator(mode="after")
    def _complete(self) -> DoseResponse:
        doses = [arm.dose for arm in self.selected]
        if not doses or doses[0] != 0:
            raise ValueError("there is no arm with real data only")
        if len(set(doses)) != len(doses):
            raise ValueError("a dose stands twice among the arms")
        if self.recommendation.dose not in doses:
            raise ValueError("the recommended dose is not among the arms")
        return self

    @cached_property
    def selected(self) -> list[Arm]:
        """The arms that follow the priority order, by dose; the first is real only."""
        return sorted((arm for arm in self.arms if arm.kind == "selected"), key=lambda arm: arm.dose)

    @cached_property
    def controls(self) -> list[Arm]:
        """The same-size random picks, by dose."""
        return sorted((arm for arm in self.arms if arm.kind == "random"), key=lambda arm: arm.dose)

    @property
    def real_only(self) -> Arm:
        """The arm that every other is held against."""
        return self.selected[0]

    @property
    def recommended(self) -> Arm:
        """The arm of the recommended dose."""
        return next(arm for arm in self.selected if arm.dose == self.recommendation.dose)

    @property
    def focus(self) -> Arm | None:
        """The arm the report speaks of: the recommended dose, else the one compared by topic, else the best measured.

        None if no arm holds synthetic data.
        """
        treated = [arm for arm in self.selected[1:] if arm.n_synthetic]
        wanted = [self.recommendation.dose, self.topics.compared_dose if self.topics else None]
        for dose in wanted:
            for arm in treated:
                if arm.dose == dose:
                    return arm
        return max(treated, key=lambda arm: arm.accuracy.mean, default=None)

    def probability_best(self, dose: float) -> float | None:
        """The probability that this dose is the best of the measured ones."""
        for key, probability in self.recommendation.prob_best.items():
            try:
                if abs(float(key) - dose) < 1e-9:
                    return probability
            except ValueError:
                continue
        return None


def parse(value: object, where: Path = FILE) -> DoseResponse:
    """Checks a decoded result file.

    Args:
        value: The JSON document.
        where: The file it came from, for the error.

    Raises:
        StoreError: It is not a result of a sweep, or of another schema version.
    """
    try:
        return DoseResponse.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        cause = first["msg"].removeprefix("Value error, ")
        raise StoreError(
            f"{where} is damaged: {place + ': ' if place else ''}{cause}.",
            remedy="Run the sweep again with this version of posology.",
        ) from None


def load(run: Path) -> DoseResponse:
    """Reads the result of the sweep in a run folder.

    Raises:
        StoreError: It is missing or damaged.
    """
    return parse(store.read_json(run / FILE), run / FILE)
