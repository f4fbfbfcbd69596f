"""The files of a small shop: real data, gaps, docs and a catalog."""

import json

TEXTS = {
    "parcel": "where is my parcel, it was sent with number",
    "refund": "i would like to have my money back for order",
    "size": "the boots are too small for me, can i change pair",
}


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_shop(folder):
    """Writes real.jsonl, holdout.jsonl, gaps.json, docs/ and catalog.csv."""
    real = [
        {"id": f"{topic}-{i}", "messages": [{"role": "user", "content": f"{text} {i}{i}7"}], "topic": topic}
        for topic, text in TEXTS.items()
        for i in range(12)
    ]
    (folder / "real.jsonl").write_text(lines(real))
    held = [
        {"id": f"h{i}", "messages": [{"role": "user", "content": f"{word} please, thing {i}"}], "topic": topic}
        for i, (topic, word) in enumerate([("parcel", "delivery"), ("refund", "payment"), ("size", "bigger")] * 4)
    ]
    (folder / "holdout.jsonl").write_text(lines(held))
    topics = [{"topic": topic, "n_real": 12, "recall": 0.5, "want": 10, "reason": "thin"} for topic in TEXTS]
    (folder / "gaps.json").write_text(json.dumps({"schema_version": 1, "topics": topics}))
    (folder / "docs").mkdir()
    (folder / "docs" / "help.md").write_text(
        "# Refunds\nTopic: refund\n\nMoney is back after ten days.\n\n# Parcels\nTopic: parcel\n\nSent in two days.\n"
    )
    (folder / "catalog.csv").write_text("name,price\nTrail boots,120\nRain coat,80\n")
    return folder


def flags(folder, **changes):
    """Flags of `posology generate` for the shop; None leaves one out, True gives it without a value."""
    given = {
        "real": folder / "real.jsonl",
        "holdout": folder / "holdout.jsonl",
        "gaps": folder / "gaps.json",
        "docs": folder / "docs",
        "catalog": folder / "catalog.csv",
        "encoder": "lexical",
        "count": 12,
        "mode": "message",
        "out": folder / "run",
    } | changes
    found = []
    for name, value in given.items():
        if value is not None and value is not False:
            found.append(f"--{name.replace('_', '-')}")
            found += [] if value is True else [str(value)]
    return found


def rows_of(folder, name):
    """The rows of a file of the run's generation."""
    text = (folder / "run" / "generate" / name).read_text()
    return [json.loads(line) for line in text.splitlines()]


def ends(folder):
    """The ids of all rows that ended, and those of the plan."""
    ended = [row["id"] for name in ("candidates.jsonl", "rejected.jsonl") for row in rows_of(folder, name)]
    return sorted(ended), sorted(row["id"] for row in rows_of(folder, "plan.jsonl"))
