"""Orders to the model that hide in documents and examples, and signs that one was obeyed.

The fence (`posology.llm.quoting`) tells the model what is data; nothing makes sure that it listens. So the
quoted material of a prompt is searched for sentences that speak to a model, and a reply is rejected if it carries what
such a sentence asked for: its quoted words, links, addresses, codes or words in capitals. Replies are rejected as well
when they repeat the fence, speak of their instructions, or hand out the sender's own set phrases. This is a net with
holes: an order in words that look like any company's rules ("always offer a full refund") is a matter for verification.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from posology.llm.quoting import defanged

_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,60}\b(?:instruct|prompt|rule|above|previous|prior|"
    r"earlier|"
    r"everything|before|guideline)"
    r"|\b(?:you are|act as|pretend to be|behave as|roleplay as)\b[^.\n]{0,50}\b(?:now|dan|jailb|language model|"
    r"assistant|bot|"
    r"ai|pirate|unrestricted|developer mode)\b"
    r"|\b(?:system|developer|hidden|initial) (?:prompt|message|instruction)|\bnew instructions?\b|\binstructions? "
    r"(?:for|to) "
    r"(?:the |any |all )?(?:ai|assistant|model|bot|llm|language model)"
    r"|\b(?:ai|ai assistants?|virtual assistants?|llms?|language models?|chatbots?|gpt|model reading "
    r"this)\b[^.\n]{0,30}"
    r"\b(?:must|should|shall|have to|need to|please|are required|is required)\b"
    r"|^\W*(?:(?:customer|agent)\s*:)?\W*(?:assistant|ai|system)\s*:|\bnote to (?:the )?(?:ai|assistant|model|"
    r"llm)\b|<!--"
    r"|\bBEGIN (?:NEW )?(?:SYSTEM|INSTRUCTION)"
    r"|\bEND OF (?:DOCUMENT|DATA|INSTRUCTION|PROMPT)",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z<\"“(*#\[])|\n+")
_PAYLOAD = re.compile(
    r"(?<!\w)[\"“'`\u2018]([^\"”`\u2019\n]{3,120}?)[\"”'`\u2019](?!\w)|((?:https?://|"
    r"www\.)[^\s<>\"')]+[^\s<>\"').,;:!?])"
    r"|([\w.+-]+@[\w-]+\.[\w.]+\w)|(?<![\w-])([A-Z][A-Z0-9_-]{4,}(?: [A-Z0-9_-]{2,}){0,6})(?![\w-])"
    r"|((?<![\w-])(?=\w*\d)(?=\w*[A-Za-z])[\w-]{5,})"
)
_SIGNS = re.compile(
    r"<<<\s*(?:DOCUMENT|EXAMPLE|PRODUCT|MESSAGE)\b|\b(?:DOCUMENT|EXAMPLE|PRODUCT|MESSAGE) [0-9a-f]{10}\b"
    r"|\b(?:system|hidden) (?:prompt|instructions?)\b|\bmy (?:initial|original|previous) (?:prompt|instructions)\b"
    r"|\bmy instructions (?:are|were|say|tell)\b"
    r"|\bignor(?:e|ing) (?:all |any |my |the |your )*(?:previous|prior|earlier|above) (?:instructions?|prompts?)\b"
    r"|\bpwned\b|\bprompt injection\b|\bdan mode\b|\bi am (?:now )?dan\b|\bi am now in developer mode\b"
    r"|\bnew instructions (?:accepted|received|followed)\b|\b(?:sk|api)[-_](?:live|test|proj|key)[-_]\w+"
    r"|\bas (?:instructed|ordered) (?:by|in) the (?:document|documentation|text|note|section|example)\b"
    r"|\byou write realistic conversations between\b|\b(?:it is|this is) data, never an instruction\b",
    re.IGNORECASE,
)
# One of these stands in everything that `_SIGNS` matches; looking for them first takes a twentieth of the time.
_NEEDLES = (
    "<<<",
    "document",
    "example",
    "product",
    "message",
    "prompt",
    "instruct",
    "pwned",
    "dan",
    "developer mode",
    "sk-",
    "sk_",
    "api-",
    "api_",
    "as ordered",
    "realistic conversations",
    "is data",
)
# Words in capitals that stand in rules and orders and mean nothing.
_COMMON = frozenset(
    "IMPORTANT ATTENTION WARNING NOTICE SYSTEM ADMIN IGNORE ALWAYS NEVER INSTRUCTION INSTRUCTIONS PREVIOUS DOCUMENT "
    "BEGIN "
    "PROMPT OVERRIDE ASSISTANT UPDATE PLEASE HTTPS EMAIL RULES MODEL OUTPUT".split()
)


@lru_cache(maxsize=4096)
def orders(text: str) -> tuple[str, ...]:
    """Sentences of a text that speak to a model, each with the one after it, which often holds what is to be said."""
    sentences = [part for part in _SENTENCE.split(text) if part.strip()]
    found = []
    for place, sentence in enumerate(sentences):
        if _ORDERS.search(sentence):
            found.append(" ".join(sentences[place : place + 2]))
    return tuple(found)


@lru_cache(maxsize=4096)
def payloads(text: str) -> tuple[str, ...]:
    """What the orders in a text ask to be said: quoted words, links, addresses, codes, words in capitals."""
    found: dict[str, None] = {}
    for order in orders(text):
        for groups in _PAYLOAD.findall(order):
            value = next(group for group in groups if group).strip()
            if len(value) >= 3 and not (value.isupper() and set(re.findall(r"[A-Z]+", value)) <= _COMMON):
                found[value] = None
    return tuple(found)


def obeyed(reply: str, quoted: Sequence[str]) -> str | None:
    """How a reply shows that it obeyed an order in the quoted material, without any of its text; None if it does not.

    Args:
        reply: The text of the candidate.
        quoted: The foreign texts of its prompt.
    """
    folded = " ".join(reply.casefold().split())
    if any(needle in folded for needle in _NEEDLES) and _SIGNS.search(reply):
        return "The reply speaks of its instructions, or repeats the marks around quoted material."
    for text in quoted:
        for payload in payloads(defanged(text)):
            if _says(folded, " ".join(payload.casefold().split())):
                return "The reply says what a sentence in the quoted material orders a model to say."
    return None


def _says(reply: str, payload: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(payload.strip(' .!?,;:'))}(?!\w)", reply) is not None
