"""Replies of a judge, for the chat server and the batch APIs, and a small pool to be judged."""

import json
import re
from pathlib import Path

REAL, SYNTHETIC = 40, 30


def asked_of(body):
    """The criteria of a request, in its order."""
    system = body.get("system") or body["messages"][0]["content"]
    return re.findall(r'"(\w+)": \{"reason"', system)


def number_of(body):
    """The number that the candidate speaks of."""
    return int(re.search(r"number (\d+)", body["messages"][-1]["content"])[1])


def scored(body, score=lambda name, number: 3 + (number + len(name)) % 3, number=None):
    """Scores for every criterion that is asked."""
    number = number_of(body) if number is None else number
    return json.dumps({name: {"reason": "as seen", "score": score(name, number)} for name in asked_of(body)})


def write_pool():
    """Writes real.jsonl, holdout.jsonl and synthetic.jsonl into the working folder; flags that name them."""
    words = "boots tent lamp stove rope coat glove map torch flask".split()

    def rows(name, n, start, **more):
        with Path(name).open("w") as handle:
            for k in range(start, start + n):
                topic = ("refund", "delivery")[k % 2]
                verb = ("I want my money back for the", "when does my parcel arrive with the")[k % 2]
                text = f"{verb} {words[k % 10]} and {words[(k // 10) % 10]} number {k}"
                row = {"id": f"{name}-{k}", "messages": [{"role": "user", "content": text}], "topic": topic}
                handle.write(json.dumps({**row, **more}) + "\n")

    rows("real.jsonl", REAL, 0)
    rows("holdout.jsonl", 10, 500)
    rows("synthetic.jsonl", SYNTHETIC, 900, generator="claude-sonnet-4")
    return ["--real", "real.jsonl", "--synthetic", "synthetic.jsonl", "--holdout", "holdout.jsonl",
            "--encoder", "lexical", "-q"]  # fmt: skip
