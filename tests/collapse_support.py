"""A small world of texts: four topics with their own words, moods and lengths."""

import numpy as np

from posology.collapse.table import make_table
from posology.embedding.lexical import Lexical
from posology.records import Conversation, Message, TextRule

WORDS = {
    "card": "card pin chip terminal contactless plastic expiry replacement swipe reader".split(),
    "transfer": "transfer bank account sort code pending payee recipient iban arrived".split(),
    "travel": "flight hotel abroad currency exchange euro airport customs border rate".split(),
    "app": "login password screen update phone crash button settings notification version".split(),
}
FILL = "i you my the is was to and for it can not why when please still today again need help with about".split()
ENDS = ["?", ".", "!", "", "...", "??"]


def sentence(topic, rng):
    n = int(rng.integers(4, 14))
    said = [str(rng.choice(WORDS[topic] if rng.random() < 0.45 else FILL)) for _ in range(n)]
    if rng.random() < 0.25:
        said.append(str(rng.choice(["terrible", "great", "angry", "thanks", "ridiculous", "love"])))
    text = " ".join(said) + str(rng.choice(ENDS))
    return text.capitalize() if rng.random() < 0.7 else text


def people(n, seed, source="real", topics=tuple(WORDS)):
    rng = np.random.default_rng(seed)
    return [
        Conversation(
            f"{source}-{seed}-{i}",
            (Message("user", sentence(topic := str(rng.choice(topics)), rng)),),
            topic,
            source,
        )
        for i in range(n)
    ]


def table_of(real, synthetic, **more):
    rule = TextRule()
    vectors = Lexical().encode([rule.text(c) for c in (*real, *synthetic)])
    return make_table(real, synthetic, vectors, rule, **more)
