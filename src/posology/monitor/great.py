"""Great Expectations at work: a file data context, suites, checkpoints, and the Data Docs that they write.

Everything of it is imported here and late: it takes seconds. Its usage analytics are switched off in the environment
and in the context, its progress bars too, and its deprecation warnings stay inside.
"""

from __future__ import annotations

import html
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from posology.errors import ExtraMissing, PosologyError, StoreError
from posology.monitor.checks import ROLES

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.expectations.expectation import Expectation
    from pandas import DataFrame

PACKAGE, EXTRA = "great-expectations", "monitor"
LEAST, BELOW = (1, 24), 2
DOCS = Path("gx", "uncommitted", "data_docs", "local_site", "index.html")
SOURCE = "posology"
_VIEWS = "posology.monitor.docs_pages"
_PAGES = {"view": {"module_name": _VIEWS, "class_name": "PageView"}}
_SITE = {
    "class_name": "SiteBuilder",
    "show_how_to_buttons": False,
    "store_backend": {
        "class_name": "TupleFilesystemStoreBackend",
        "base_directory": "uncommitted/data_docs/local_site/",
    },
    "site_index_builder": {
        "class_name": "DefaultSiteIndexBuilder",
        "view": {"module_name": _VIEWS, "class_name": "IndexView"},
    },
    "site_section_builders": {"expectations": _PAGES, "validations": _PAGES},
}

Measure = Callable[["DataFrame"], Mapping[str, float]]
Kind = Literal["traffic", "holdout", "synthetic"]
COLUMN_OF: Mapping[str, str] = {
    "topic_psi": "predicted",
    "topic_chi2": "predicted",
    "topic_share": "predicted",
    "length": "words",
    "language": "language",
    "low_confidence": "confidence",
    "far_from_training": "similarity",
}
#: What a row breaks, by the column that a rule looks at.
RULES: Mapping[str, str] = {
    "id": "ids missing or given twice",
    "topic": "topics that the run does not know",
    "roles": "odd roles or turns",
    "words": "no text, or overlong",
    "language": "unusual languages",
}


def require() -> None:
    """Makes sure that Great Expectations is here and of a version that this module was written for.

    Raises:
        ExtraMissing: It is not installed, or of another major version.
    """
    try:
        found = version(PACKAGE)
    except PackageNotFoundError:
        raise ExtraMissing(PACKAGE, EXTRA) from None
    parts = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if not LEAST <= parts < (BELOW,):
        wanted = f"{PACKAGE} {LEAST[0]}.{LEAST[1]} or later, below {BELOW} (here is {found})"
        raise ExtraMissing(wanted, EXTRA)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a row must be; a share of `rows_kept` of the rows must be so.

    Attributes:
        topics: Labels that a row may carry, if it carries one.
        languages: Codes that a row may be in, if it is long enough to tell.
        most_words: The longest that a row may be.
    """

    topics: tuple[str, ...]
    languages: tuple[str, ...]
    most_words: int


@dataclass(frozen=True, slots=True)
class Validation:
    """What a checkpoint found.

    Attributes:
        values: Each check that was computed, by name.
        failed: Expectations of single rows that failed, in words.
    """

    values: dict[str, float]
    failed: tuple[str, ...]


@contextmanager
def _calm(folder: Path) -> Iterator[None]:
    """Great Expectations, without analytics, with its warnings kept inside and its errors made ours."""
    before = os.environ.get("GX_ANALYTICS_ENABLED")
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PosologyError:
        raise
    except Exception as error:  # whatever it raises where its files are damaged
        raise StoreError(
            f"Great Expectations cannot use {folder / 'gx'}: {type(error).__name__}.",
            remedy="Delete that folder and make the baseline anew with `posology monitor init`; the history stays.",
        ) from error
    finally:
        if before is None:
            del os.environ["GX_ANALYTICS_ENABLED"]
        else:
            os.environ["GX_ANALYTICS_ENABLED"] = before


class Expectations:
    """The suites, checkpoints and Data Docs of one monitor.

    Args:
        folder: `RUN/monitor`; the data context lies in `gx` below it.

    Raises:
        ExtraMissing: Great Expectations is not installed, or of another major version.
    """

    def __init__(self, folder: Path) -> None:
        require()
        self.folder = folder
        self._opened: gx.data_context.FileDataContext | None = None

    @property
    def docs(self) -> Path:
        """The first page of the Data Docs."""
        return self.folder / DOCS

    def write(self, rules: Rules, checks: Mapping[Kind, tuple[str, ...]]) -> None:
        """Writes suites and checkpoints anew, one of each kind.

        Args:
            rules: What a row must be.
            checks: The drift checks of each kind of batch.
        """
        with _calm(self.folder):
            import great_expectations as gx
            from great_expectations.checkpoint import UpdateDataDocsAction

            context = self._context()
            source = context.data_sources.add_or_update_pandas(SOURCE)
            for kind, names in checks.items():
                batch = source.add_dataframe_asset(kind).add_batch_definition_whole_dataframe("batch")
                suite = context.suites.add_or_update(gx.ExpectationSuite(kind, expectations=_suite(kind, rules, names)))
                definition = gx.ValidationDefinition(name=kind, data=batch, suite=suite)
                context.checkpoints.add_or_update(
                    gx.Checkpoint(
                        name=kind,
                        validation_definitions=[context.validation_definitions.add_or_update(definition)],
                        actions=[UpdateDataDocsAction(name="data_docs")],
                        result_format={"result_format": "BASIC", "partial_unexpected_count": 5},
                    )
                )
            context.build_data_docs()

    def validate(
        self,
        kind: Kind,
        frame: DataFrame,
        measure: Measure,
        thresholds: Mapping[str, float],
        *,
        name: str,
        day: date,
    ) -> Validation:
        """Runs a checkpoint on a batch; the same name and day again replace the earlier result.

        Args:
            kind: Which checkpoint.
            frame: The batch, one row a conversation.
            measure: Computes the drift checks of a batch.
            thresholds: The most that each may be, and `rows_kept`.
            name: Of the run, for the Data Docs.
            day: The day that the batch stands for.

        Raises:
            StoreError: The suites are missing or damaged, or an expectation could not be computed.
        """
        with _calm(self.folder):
            import great_expectations as gx

            from posology.monitor.expectations import measuring

            checkpoint = self._context().checkpoints.get(kind)
            with measuring(lambda batch: measure(_changed(batch, html.unescape))):
                result = checkpoint.run(
                    batch_parameters={"dataframe": _changed(frame, html.escape)},
                    expectation_parameters=dict(thresholds),
                    run_id=gx.RunIdentifier(run_name=name, run_time=datetime.combine(day, time(), UTC)),
                )
        return _collected([found for run in result.run_results.values() for found in run.results])

    def _context(self) -> gx.data_context.FileDataContext:
        """The data context; made, with its settings, where there is none."""
        if self._opened is not None:
            return self._opened
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        from posology.monitor import expectations  # noqa: F401 - registers them

        new = not (self.folder / "gx" / "great_expectations.yml").is_file()
        context = gx.get_context(mode="file", project_root_dir=self.folder)
        if new:
            context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
            context.enable_analytics(False)
            context.variables.config_variables_file_path = None  # it holds nothing, and is read a hundred times a check
            context.variables.save()
            context.update_data_docs_site("local_site", _SITE)
        self._opened = context
        return context


def _changed(frame: DataFrame, change: Callable[[str], str]) -> DataFrame:
    """A frame with every text in it changed.

    Great Expectations writes unexpected values into its pages as they are: whatever it is given, frames and the values
    of suites alike, is escaped for HTML, and what is measured of a frame is unescaped first.
    """
    texts = frame.select_dtypes(exclude=["number", "bool"])
    return frame.assign(
        **{
            str(name): [change(value) if isinstance(value, str) else value for value in column]
            for name, column in texts.items()
        }
    )


def _suite(kind: Kind, rules: Rules, checks: tuple[str, ...]) -> list[Expectation]:
    """The expectations of one kind of batch."""
    import great_expectations.expectations as gxe

    from posology.monitor.expectations import ExpectBatchToResembleBaseline, ExpectColumnToResembleBaseline

    def most(check: str) -> dict[str, str]:
        return {"$PARAMETER": check}

    rows: list[Expectation] = [
        gxe.ExpectColumnValuesToNotBeNull(column="id"),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
    ]
    if kind != "holdout":
        kept = most("rows_kept")
        rows += [
            gxe.ExpectColumnValuesToBeInSet(column="topic", value_set=list(map(html.escape, rules.topics))),
            gxe.ExpectColumnValuesToMatchRegex(column="roles", regex=ROLES, mostly=kept),
            gxe.ExpectColumnValuesToBeBetween(column="words", min_value=1, max_value=rules.most_words, mostly=kept),
            gxe.ExpectColumnValuesToBeInSet(
                column="language", value_set=list(map(html.escape, rules.languages)), mostly=most("language_kept")
            ),
        ]
    return rows + [
        ExpectColumnToResembleBaseline(column=COLUMN_OF[check], check=check, max_value=most(check))
        if check in COLUMN_OF and kind == "traffic"
        else ExpectBatchToResembleBaseline(check=check, max_value=most(check))
        for check in checks
    ]


def _collected(results: list[Any]) -> Validation:
    values, failed = {}, []
    for result in results:
        settings = result.expectation_config.kwargs
        if result.exception_info.get("raised_exception", True):
            raise StoreError(
                f"Great Expectations could not compute {result.expectation_config.type}.",
                remedy="Make the baseline anew with `posology monitor init`.",
            )
        if "check" in settings:
            values[settings["check"]] = float(result.result["observed_value"])
        elif not result.success:
            column = settings.get("column", "table")
            failed.append(RULES.get(column, f"{column}: {result.expectation_config.type}"))
    return Validation(values, tuple(failed))
