"""The flags that several verbs share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DATA, READING, MODEL, OUTPUT = "Data", "Reading", "Model", "Output"

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file; ./posology.yaml is used if it is there.", rich_help_panel=DATA),
]
Real = Annotated[Path | None, typer.Option(help="Real labelled conversations.", rich_help_panel=DATA)]
Synthetic = Annotated[Path | None, typer.Option(help="The pool: synthetic conversations.", rich_help_panel=DATA)]
Holdout = Annotated[
    Path | None,
    typer.Option(help="Real conversations kept for evaluation; split off --real if not given.", rich_help_panel=DATA),
]
HoldoutSize = Annotated[
    int | None,
    typer.Option(help="How many to split off when --holdout is not given (default: 200).", rich_help_panel=DATA),
]
Traffic = Annotated[Path | None, typer.Option(help="Unlabelled real conversations.", rich_help_panel=DATA)]
Docs = Annotated[
    Path | None, typer.Option(help="Folder of support docs, *.md with `Topic:` lines.", rich_help_panel=DATA)
]
Catalog = Annotated[Path | None, typer.Option(help="Product catalog, CSV, TSV or JSONL.", rich_help_panel=DATA)]

VerifyFirst = Annotated[
    bool | None,
    typer.Option("--verify/--no-verify", help="Verify the pool before it is used (default: on).", rich_help_panel=DATA),
]

Format = Annotated[
    str | None,
    typer.Option(help="How to read the files: auto, jsonl, csv, tsv, parquet, hf.", rich_help_panel=READING),
]
OnError = Annotated[
    Literal["fail", "skip"] | None,
    typer.Option(help="What a bad row does: stop everything, or be set aside and counted.", rich_help_panel=READING),
]
IdColumn = Annotated[str | None, typer.Option(help="Column that holds the id.", rich_help_panel=READING)]
TopicColumn = Annotated[str | None, typer.Option(help="Column that holds the topic.", rich_help_panel=READING)]
TextColumn = Annotated[str | None, typer.Option(help="Column that holds the text.", rich_help_panel=READING)]
MessagesColumn = Annotated[str | None, typer.Option(help="Column that holds the turns.", rich_help_panel=READING)]

Encoder = Annotated[
    str | None,
    typer.Option(
        help="minilm, lexical, fastembed:NAME, sentence-transformers:NAME or openai:NAME.", rich_help_panel=MODEL
    ),
]
Roles = Annotated[
    str | None, typer.Option(help="Roles whose turns are read, e.g. user or user,assistant.", rich_help_panel=MODEL)
]
MaxTurns = Annotated[int | None, typer.Option(help="Read only the first so many turns.", rich_help_panel=MODEL)]
Jobs = Annotated[int | None, typer.Option(help="Trainings at a time.", rich_help_panel=MODEL)]

Out = Annotated[Path | None, typer.Option(help="The run folder.", rich_help_panel=OUTPUT)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.", rich_help_panel=OUTPUT)]
