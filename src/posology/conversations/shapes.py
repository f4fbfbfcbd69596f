"""From one conversation to one row of each layout: the other direction of `rows`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from posology.conversations.layouts import RESERVED
from posology.errors import UsageError
from posology.records import Conversation, Message, TextRule

Row = dict[str, Any]
Shape = Callable[[Conversation], Row]

_FROM = {"user": "human", "assistant": "gpt"}
_CUSTOMER = TextRule()


def turn(message: Message) -> Row:
    """A message of the OpenAI chat format, with everything that it carried."""
    content = message.extra.get("content", message.content)
    return {"role": message.role, "content": content, **_fields(message, "content")}


def is_plain_text(conversation: Conversation) -> bool:
    """Whether a conversation is nothing but one customer message."""
    messages = conversation.messages
    return len(messages) == 1 and messages[0].role == "user" and not messages[0].extra


def customer_text(conversation: Conversation, format: str) -> str:
    """All that the customer says, one turn a line.

    Raises:
        UsageError: The customer says nothing.
    """
    text = conversation.messages[0].content if is_plain_text(conversation) else _CUSTOMER.text(conversation)
    if not text.strip():
        raise _unfit(conversation, format, "turn of a customer")
    return text


def _fields(message: Message, *left_out: str) -> Mapping[str, Any]:
    return {key: value for key, value in message.extra.items() if key not in left_out}


def _unfit(conversation: Conversation, format: str, lack: str) -> UsageError:
    return UsageError(
        f"the conversation {conversation.id!r} has no {lack}, which is all that the format {format} can hold.",
        remedy="Leave it out, or write the format openai.",
    )


def _row(conversation: Conversation, spoken: Row, topic_column: str = "topic") -> Row:
    """A row with everything around the spoken part; fields of `meta` whose names mean something else go deeper."""
    hidden = {key: value for key, value in conversation.meta.items() if key in RESERVED}
    return {
        "id": conversation.id,
        **spoken,
        topic_column: conversation.topic,
        "source": conversation.source,
        **{key: value for key, value in conversation.meta.items() if key not in RESERVED},
        **({"meta": hidden} if hidden else {}),
    }


def openai(conversation: Conversation) -> Row:
    """`messages`, with all else that is known."""
    return _row(conversation, {"messages": [turn(message) for message in conversation.messages]})


def trl(conversation: Conversation) -> Row:
    """`messages` and `topic` alone: what a trainer of the conversational format expects."""
    return {"messages": [turn(message) for message in conversation.messages], "topic": conversation.topic}


def sharegpt(conversation: Conversation) -> Row:
    """`conversations`: turns with `from` and `value`."""
    turns = [
        {
            "from": _FROM.get(message.role, message.role),
            "value": message.extra.get("content", message.content),
            **_fields(message, "content", "from", "value"),
        }
        for message in conversation.messages
    ]
    return _row(conversation, {"conversations": turns})


def prompt_completion(conversation: Conversation) -> Row:
    """All turns but the assistant's last as `prompt`, that one as `completion`; both are lists of turns."""
    turns = [turn(message) for message in conversation.messages]
    cut = len(turns) - (conversation.messages[-1].role == "assistant")
    return _row(conversation, {"prompt": turns[:cut], "completion": turns[cut:]})


def alpaca(conversation: Conversation) -> Row:
    """The last question as `instruction`, its answer as `output`, what came before as `history` and `system`.

    Raises:
        UsageError: Neither customer nor agent says anything.
    """
    exchanges = _exchanges(conversation.messages)
    if not exchanges:
        raise _unfit(conversation, "alpaca", "turn of a customer or an agent")
    (question, answer), history = exchanges[-1], exchanges[:-1]
    system = "\n".join(m.content for m in conversation.messages if m.role in ("system", "developer") and m.content)
    spoken: Row = {"instruction": question, "input": "", "output": answer}
    return _row(
        conversation, spoken | ({"system": system} if system else {}) | ({"history": history} if history else {})
    )


def _exchanges(messages: Sequence[Message]) -> list[list[str]]:
    """Pairs of question and answer; neighbouring turns of one side are joined."""
    pairs: list[list[str]] = []
    previous = None
    for message in messages:
        if message.role not in ("user", "assistant") or not message.content:
            continue
        side = int(message.role == "assistant")
        if message.role == previous:
            pairs[-1][side] += f"\n{message.content}"
        elif side and pairs:
            pairs[-1][side] = message.content
        else:
            pairs.append(["", message.content] if side else [message.content, ""])
        previous = message.role
    return pairs


def text_label(conversation: Conversation) -> Row:
    """`text`: what the customer says, and `label`.

    Raises:
        UsageError: The customer says nothing.
    """
    return _row(conversation, {"text": customer_text(conversation, "text_label")}, topic_column="label")


#: The layouts that are written as JSON lines.
SHAPES: dict[str, Shape] = {
    "openai": openai,
    "sharegpt": sharegpt,
    "prompt_completion": prompt_completion,
    "alpaca": alpaca,
    "text_label": text_label,
    "trl": trl,
}
