"""Replies of a judge, for the chat server."""

import json
import re


def asked_of(body):
    """The criteria of a request, in its order."""
    return re.findall(r'"(\w+)": \{"reason"', body["messages"][0]["content"])


def number_of(body):
    """The number that the candidate speaks of."""
    return int(re.search(r"number (\d+)", body["messages"][-1]["content"])[1])


def scored(body, score=lambda name, number: 3 + (number + len(name)) % 3):
    """Scores for every criterion that is asked."""
    number = number_of(body)
    return json.dumps({name: {"reason": "as seen", "score": score(name, number)} for name in asked_of(body)})
