"""posology check: is everything in order, before anything is spent?"""

from __future__ import annotations

from posology.cli import options as o
from posology.cli.display import show
from posology.cli.settings import settings


def check(
    real: o.Real = None,
    synthetic: o.Synthetic = None,
    holdout: o.Holdout = None,
    traffic: o.Traffic = None,
    docs: o.Docs = None,
    catalog: o.Catalog = None,
    config: o.Config = None,
    format: o.Format = None,
    on_error: o.OnError = None,
    id_column: o.IdColumn = None,
    topic_column: o.TopicColumn = None,
    text_column: o.TextColumn = None,
    messages_column: o.MessagesColumn = None,
    encoder: o.Encoder = None,
    roles: o.Roles = None,
    max_turns: o.MaxTurns = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Check settings and files; nothing is trained, written or sent.

    Shows how each file was understood, and whether the encoder is at hand; where no pool is named, also whether
    generation has its model, key, templates and personas.
    """
    tree = settings(locals())
    from posology import inputs
    from posology.asking import ready
    from posology.embedding.encoders import make_encoder
    from posology.errors import ExtraMissing, ModelError
    from posology.models.weights import path as files_of

    inputs.required(tree.data.real, "real")
    material = inputs.Material(tree.data)
    for name in inputs.SOURCE_OF:
        material.reading(name)
    make_encoder(tree.embedding.encoder, base_url=tree.embedding.base_url, api_key_env=tree.embedding.api_key_env)
    if tree.embedding.encoder == "minilm":
        files_of("minilm")
    lines, files = [], {}
    for name, reading in material.readings.items():
        lines += [f"{name}: {material.path(name)}", *(f"  {line}" for line in reading.understood.lines)]
        files[name] = {"understood": list(reading.understood.lines), "sha256": reading.sha256}
    if material.docs:
        named = sum(section.topic is not None for section in material.docs)
        lines.append(f"docs: {len(material.docs)} sections, {named} with a topic")
    if material.catalog:
        lines.append(f"catalog: {len(material.catalog)} products")
    if tree.data.synthetic is None:
        try:
            lines += ready(tree.generate, tree.generate.chosen_mode, material.docs, material.catalog)
        except (ExtraMissing, ModelError) as error:  # the embedded model, which may not be wanted at all
            lines.append(f"generation: {error}")
    lines.append("All in order.")
    show({"ok": True, "files": files}, as_json=json, human="\n".join(lines))
