"""Small makers that many tests use."""

from posology.records import Conversation, Message


def talk(id, text, topic="a", source="real", **meta):
    """A conversation of one customer message."""
    return Conversation(id, (Message("user", text),), topic, source, meta)
