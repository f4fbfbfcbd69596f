"""Makers and a scripted model for the tests of generation."""

import asyncio
import json

from posology.generation.material import Example
from posology.generation.personas import Persona
from posology.generation.plan import PlanRow
from posology.llm.contract import Reply, Usage


def row(id="syn0-1", topic="refund", **changes):
    """A plan row; what is not given is ordinary."""
    values = {
        "persona": Persona("night-shift nurse", "Writes between two rounds."),
        "channel": "web chat",
        "mood": "neutral",
        "register": "plain",
        "casing": "normal",
        "typos": "without typos",
        "words": 8,
        "turns": 2,
        "outcome": "resolved",
        "docs": ("returns.md#Refund times",),
        "catalog": ("Trail boots",),
        "examples": (Example("r0", "Customer: Where is my refund, it has been two weeks now?\nAgent: Let me look."),),
        "seed": 7,
    }
    return PlanRow(id=id, topic=topic, **{**values, **changes})


def dialogue(*turns):
    """A reply as the mode `dialogue` wants it."""
    roles = ("user", "assistant")
    return json.dumps({"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(turns)]})


def reply(text, finish="stop"):
    return Reply(text, Usage(10, 10), finish, "scripted-1")


def asker(answer, *, ahead=16, order=None):
    """An `ask` over a function from key and request to an answer.

    Args:
        answer: What gives the replies.
        ahead: How many requests are taken before the first is answered.
        order: Picks which of the open requests is answered next; the oldest by default.
    """

    async def ask(requests):
        requests, open_ = iter(requests), []
        while True:
            while len(open_) < ahead and (taken := next(requests, None)) is not None:
                open_.append(taken)
            if not open_:
                return
            key, request = open_.pop(order(open_) if order else 0)
            await asyncio.sleep(0)
            yield key, answer(key, request)

    return ask


def collect(generator, ask):
    """All outcomes of a run."""

    async def run():
        return [outcome async for outcome in generator.run(ask)]

    return asyncio.run(run())
