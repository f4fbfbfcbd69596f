"""posology generate: conversations for the gaps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings

if TYPE_CHECKING:
    from posology.config import Config
    from posology.generating import Generation

PLAN, CALLS, LIMITS = "What to write", "Who writes", "How fast, for how much"
Mode = Literal["dialogue", "turns", "message", "continuation"]


def _flag(help: str, panel: str, *names: str) -> Any:  # noqa: ANN401 - typer's own marker
    return typer.Option(*names, help=help, rich_help_panel=panel)


def generate(
    real: o.Real = None,
    docs: o.Docs = None,
    catalog: o.Catalog = None,
    holdout: o.Holdout = None,
    holdout_size: o.HoldoutSize = None,
    gaps: Annotated[Path | None, _flag("A gaps.json to use; found anew if not given.", PLAN)] = None,
    count: Annotated[int | None, _flag("Examples in all; what the gaps want if not given.", PLAN)] = None,
    mode: Annotated[
        Mode | None,
        _flag("dialogue: whole in one reply; turns: customer and agent apart; message; continuation.", PLAN),
    ] = None,
    generate_seed: Annotated[int | None, _flag("Of the plan (default: 0).", PLAN, "--seed")] = None,
    plan: Annotated[Path | None, _flag("A plan to use as it is.", PLAN)] = None,
    plan_only: Annotated[bool, _flag("Write the plan and stop.", PLAN, "--plan-only")] = False,
    templates: Annotated[Path | None, _flag("Folder of your own prompt templates.", PLAN)] = None,
    model: Annotated[
        str | None,
        _flag(
            "openai:NAME, anthropic:NAME, local: or local:FILE.gguf, scripted:FILE.py:FUNCTION; local: if not given.",
            CALLS,
        ),
    ] = None,
    chat_url: Annotated[
        str | None, _flag("Server that speaks the OpenAI format, up to and with /v1.", CALLS, "--base-url")
    ] = None,
    chat_key: Annotated[str | None, _flag("Environment variable that holds the key.", CALLS, "--api-key-env")] = None,
    temperature: Annotated[float | None, _flag("Sampling temperature (default: 0.9).", CALLS)] = None,
    batch: Annotated[bool, _flag("Use the provider's batch API.", CALLS, "--batch")] = False,
    export_requests: Annotated[Path | None, _flag("Write the requests to a file; send nothing.", CALLS)] = None,
    import_replies: Annotated[Path | None, _flag("Take replies from a file; send nothing.", CALLS)] = None,
    concurrency: Annotated[int | None, _flag("Calls in flight (default: 32).", LIMITS)] = None,
    rpm: Annotated[float | None, _flag("Most requests a minute.", LIMITS)] = None,
    tpm: Annotated[float | None, _flag("Most tokens a minute.", LIMITS)] = None,
    money: Annotated[
        float | None, _flag("Most money, over all that the ledger holds; then exit code 4.", LIMITS, "--budget")
    ] = None,
    dry_run: Annotated[bool, _flag("Say what it would cost; send nothing.", LIMITS, "--dry-run")] = False,
    preview: Annotated[
        int, typer.Option(help="Buy and show the first so many rows.", min=0, rich_help_panel=LIMITS)
    ] = 0,
    ledger: Annotated[Path | None, _flag("Where calls are remembered (default: OUT/ledger.sqlite).", LIMITS)] = None,
    config: o.Config = None,
    format: o.Format = None,
    on_error: o.OnError = None,
    id_column: o.IdColumn = None,
    topic_column: o.TopicColumn = None,
    text_column: o.TextColumn = None,
    messages_column: o.MessagesColumn = None,
    encoder: o.Encoder = None,
    out: o.Out = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Generate conversations for the gaps, and pay for nothing twice.

    Every finished call is kept in the ledger: the same command again sends only what is missing.
    Writes plan.jsonl, candidates.jsonl and rejected.jsonl into OUT/generate; every row of the plan ends in one of the
    latter two.
    """
    given = locals()
    tree = _without_pool(settings(given))
    from posology.errors import UsageError
    from posology.generating import Generation
    from posology.pipeline import Pipeline

    actions = {
        name: given[name]
        for name in ("plan_only", "dry_run", "preview", "export_requests", "import_replies")
        if given[name]
    }
    if len(actions) + (batch and bool(actions.keys() & {"export_requests", "import_replies"})) > 1:
        raise UsageError(
            f"--{' and --'.join(actions)} do not go together.".replace("_", "-"), remedy="Give one of them at a time."
        )
    offline = export_requests is not None or import_replies is not None
    with watched(quiet) as progress, Pipeline(tree, progress) as pipeline:
        generation = Generation(pipeline, gaps=gaps, plan=plan, batch=batch, offline=offline)
        result, human = _done(generation, **actions)
    show(result, as_json=json, human=human)


def _without_pool(tree: Config) -> Config:
    """The settings without the pool, which is what this verb is there to make."""
    return tree.model_copy(update={"data": tree.data.model_copy(update={"synthetic": None})})


def _done(
    generation: Generation,
    plan_only: bool = False,
    dry_run: bool = False,
    preview: int = 0,
    export_requests: Path | None = None,
    import_replies: Path | None = None,
) -> tuple[dict[str, Any], Any]:
    """Does what was asked for; the result, and the same for people."""
    if plan_only:
        result = generation.plan()
        return result, f"a plan of {result['n_plan']:,} rows is in {result['plan']}; read it, edit it, run again"
    if dry_run:
        result = generation.dry_run()
        return result, _estimated(result)
    if preview:
        result = generation.preview(preview)
        return result, "\n\n".join([*map(_conversation, result["preview"]), "the rest: the same without --preview"])
    if export_requests is not None:
        result = generation.export(export_requests)
        return result, f"{result['n_requests']:,} requests are in {export_requests}; their replies: --import-replies"
    result = generation.bring_in(import_replies) if import_replies is not None else generation.run()
    return result, _summary(result, generation.planning.path.parent)


def _estimated(result: dict[str, Any]) -> str:
    lines = [result["summary"], f"for {result['n_plan']:,} rows, one attempt each (at most {result['attempts']})"]
    return "\n".join([*lines, *(f"warning: {text}" for text in result["warnings"]), "nothing was sent"])


def _summary(result: dict[str, Any], folder: Path) -> str:
    lines = [f"{result['n_candidates']:,} candidates of {result['n_plan']:,} rows in {folder / 'candidates.jsonl'}"]
    if result["n_rejected"]:
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(result["rejected"].items(), key=lambda r: -r[1]))
        lines.append(f"{result['n_rejected']:,} rejected ({reasons}), with the raw reply, in rejected.jsonl")
    if result["n_open"]:
        lines.append(f"{result['n_open']:,} rows are open")
    for total in result["totals"]:
        money = "price not known" if total["cost"] is None else f"{total['cost']:.4f} in money"
        tokens = f"{total['input_tokens']:,} tokens in, {total['output_tokens']:,} out"
        lines.append(f"{total['model']}: {total['calls']:,} calls, {tokens}, {money}")
    if "sent" in result:
        lines.append(f"{result['sent']:,} calls were sent just now; the ledger knew the others")
    return "\n".join([*lines, *(f"warning: {text}" for text in result["warnings"])])


def _conversation(row: dict[str, Any]) -> str:
    """A row of a preview as plain text."""
    lines = [f"=== {row['id']} ({row['topic']}), attempt {row['attempt']} ==="]
    for number, prompt in enumerate(row["prompts"], start=1):
        lines.append(f"--- prompt {number} ---")
        lines += [f"[{message['role']}]\n{message['content']}" for message in prompt]
    if row["accepted"]:
        lines.append("--- conversation ---")
        lines += [f"{message['role']}: {message['content']}" for message in row["messages"]]
    else:
        lines += [f"--- rejected: {row['reason']} ---", row["detail"], row["raw"]]
    return "\n".join(lines)
