"""Great Expectations of our own: the drift checks as expectations of a batch or of one of its columns.

A validation computes the checks from the batch that it is given, once, through a metric of our own; each expectation
holds one of them against its learned threshold, which is a parameter of the suite since it depends on how many rows
the batch has. This module imports Great Expectations and must itself be imported late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

from great_expectations.core import ExpectationValidationResult
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.suite_parameters import SuiteParameterDict
from great_expectations.execution_engine import ExecutionEngine, PandasExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnAggregateExpectation,
    render_suite_parameter_string,
)
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer

from posology.monitor.checks import MEANING
from posology.monitor.great import Measure

METRIC = "table.posology_checks"

_measure: ContextVar[Measure] = ContextVar("posology_measure")


@contextmanager
def measuring(measure: Measure) -> Iterator[None]:
    """Says how the checks of a batch are computed, for the validations inside the block."""
    token = _measure.set(measure)
    try:
        yield
    finally:
        _measure.reset(token)


class TableChecks(TableMetricProvider):  # type: ignore[misc]
    """All checks of a batch, by name."""

    metric_name = METRIC

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(
        cls,
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> Mapping[str, float]:
        whole = {"batch_id": metric_domain_kwargs.get("batch_id")}
        frame, _, _ = execution_engine.get_compute_domain(whole, domain_type=MetricDomainTypes.TABLE)
        return _measure.get()(frame)


class _Held:
    """What both expectations share: a check, its threshold, and the words for them."""

    check: str
    max_value: float | SuiteParameterDict

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine | None = None,
    ) -> dict[str, Any]:
        value, most = metrics[METRIC][self.check], self.max_value
        assert isinstance(most, float | int)  # parameters are filled in by now
        return {"success": value <= most, "result": {"observed_value": value}}

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    @render_suite_parameter_string  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(
        cls,
        configuration: ExpectationConfiguration | None = None,
        result: ExpectationValidationResult | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> list[RenderedStringTemplateContent]:
        """The sentence that stands for the expectation in the Data Docs."""
        found = configuration or (result.expectation_config if result else None)
        settings = found.kwargs if found else {}
        check, most = str(settings.get("check", "")), settings.get("max_value")
        said = f"{most:.4g}" if isinstance(most, float | int) else "what healthy windows of its size show"
        sentence = f"{check}: {MEANING.get(check, check.replace('_', ' '))}; at most $most."
        return [
            RenderedStringTemplateContent(
                content_block_type="string_template", string_template={"template": sentence, "params": {"most": said}}
            )
        ]


class ExpectColumnToResembleBaseline(_Held, ColumnAggregateExpectation):  # type: ignore[misc]
    """A check of one column (topics, words, confidence, ...) is at most what healthy windows show."""

    check: str
    max_value: float | SuiteParameterDict

    metric_dependencies: ClassVar[tuple[str, ...]] = (METRIC,)
    success_keys: ClassVar[tuple[str, ...]] = ("check", "max_value")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "check", "max_value")


class ExpectBatchToResembleBaseline(_Held, BatchExpectation):  # type: ignore[misc]
    """A check of the batch as a whole (embeddings, clusters, mood, accuracy) is at most what healthy windows show."""

    check: str
    max_value: float | SuiteParameterDict

    metric_dependencies: ClassVar[tuple[str, ...]] = (METRIC,)
    success_keys: ClassVar[tuple[str, ...]] = ("check", "max_value")
    args_keys: ClassVar[tuple[str, ...]] = ("check", "max_value")
