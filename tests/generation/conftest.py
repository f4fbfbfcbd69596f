"""Material that all tests of generation share."""

import pytest

from posology.generation.habits import Habits
from posology.generation.material import gather
from posology.records import Conversation, DocSection, Message

DOCS = (
    DocSection("returns.md", "Refund times", "refund", "A refund takes 5 working days.\n\nNo express refunds."),
    DocSection("returns.md", "Labels", "return", "A return label is in My orders. It is valid for 14 days."),
    DocSection("delivery.md", "Costs", None, "Standard delivery costs £3.95."),
)
CATALOG = ({"name": "Trail boots", "price": "89.00"}, {"name": "Fell jacket", "price": "120.00"})


@pytest.fixture
def docs():
    return DOCS


@pytest.fixture
def real():
    """Twelve real conversations over two topics, with an address in one of them."""
    texts = [
        "Where is my refund, it has been two weeks now?",
        "still no money back from u guys",
        "Hi, I am Peter Pan, please refund order AB-123456",
        "When do I get my money for the jacket I sent back?",
        "refund pending since monday, why",
        "You promised the refund would arrive last Friday and it did not",
        "How do I print a label for a return?",
        "cant find the return label",
        "Could you kindly send me a return label for these boots?",
        "label expired, what now",
        "Is the return free of charge for sale items?",
        "i want to send back one of two pairs",
    ]
    return [
        Conversation(
            f"r{n}",
            (Message("user", text), Message("assistant", f"Let me look into it, case {n}."), Message("user", "ok")),
            "refund" if n < 6 else "return",
        )
        for n, text in enumerate(texts)
    ]


@pytest.fixture
def material(real):
    return gather(real, DOCS, CATALOG, dialogues=True)


@pytest.fixture
def habits():
    plain = Habits("plain", "normal", "without typos", "neutral", 2, 8)
    return [plain, Habits("casual", "lower", "", "negative", 4, 5)]
