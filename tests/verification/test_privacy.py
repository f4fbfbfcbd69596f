import sys
from types import SimpleNamespace

import pytest

from posology.conversations import personal
from posology.conversations.masking import find
from posology.errors import ExtraMissing, ModelError, UsageError
from posology.records import Conversation, DocSection, Message
from posology.verification.privacy import GenuineLooking, RealData, VerbatimSpan


def customer(text, id="r", source="real"):
    return Conversation(id, (Message("user", text),), "t", source)


def agent(text, id):
    return Conversation(id, (Message("user", "hello"), Message("assistant", text)), "t")


CANARIES = {
    "email": "write to Otto.Brack@Proton.me please",
    "phone": "call me on +44 7911 123456",
    "card": "my card is 4539 1488 0343 6467",
    "iban": "send it to GB94 BARC 1020 1530 0934 59",
    "order": "my order LF-921775-Q is late",
    "code": "the code was qx7391lb",
    "name": "My name is Ottoline Brackwell, hello",
    "address": "I live at 14 Harrow Mill Lane, thanks",
    "national id": "my number is AB 12 34 56 C",
}


@pytest.mark.parametrize("kind", CANARIES)
def test_no_canary_comes_through(kind):
    real = [customer(CANARIES[kind], "canary"), customer("where is my parcel", "other")]
    changed = (
        CANARIES[kind].replace(" ", "  ").upper() if kind not in ("name", "address") else f"Well. {CANARIES[kind]}"
    )
    for text in (CANARIES[kind], changed):
        (finding,) = RealData(real)([customer(text, "c", "synthetic")])
        assert (finding.state, finding.other_id) == ("fail", "canary"), text
        assert not any(word in finding.detail for word in ("Brack", "4539", "7391"))


def test_a_canary_that_stands_often_does_not_come_through_either():
    real = [customer(CANARIES["code"], f"r{n}") for n in range(20)]
    assert RealData(real)([customer("is QX7391LB right?")])[0].state == "fail"


def test_what_the_company_publishes_is_no_secret():
    docs = [DocSection("a.md", "Contact", None, "Write to care@shop.com or call 0800 123 4567.")]
    catalog = [{"name": "Tent", "sku": "LKF-TNT-01234"}]
    real = [customer("care@shop.com does not answer, and tent LKF-TNT-01234 is torn")]
    real += [agent("Please call 0161 555 7788.", f"a{n}") for n in range(3)] + [customer("0161 555 7788 is busy", "x")]
    check = RealData(real, docs, catalog)
    said = customer(
        "I wrote to care@shop.com, called 0800 1234567 and 0161 555 7788 about LKF-TNT-01234", "c", "synthetic"
    )
    assert check([said])[0].state == "pass"
    assert GenuineLooking(check.published)([said])[0].state == "pass"


def test_names_that_many_have_and_amounts_pass():
    real = [customer("My name is Sam and I paid £1,234,567.00 on 12/03/2024")]
    assert RealData(real)([customer("I am Sam, it was £1,234,567.00")])[0].state == "pass"


@pytest.mark.parametrize("kind", ["email", "phone", "card", "iban", "address", "national id"])
def test_what_looks_like_somebodys_fails(kind):
    (finding,) = GenuineLooking()([customer(CANARIES[kind], "c", "synthetic")])
    assert finding.state == "fail" and finding.score >= 1


@pytest.mark.parametrize(
    "text",
    [
        "write to jo@example.com or jo@mail.example.org or jo@shop.test",
        "call 07700 900123, 020 7946 0018 or +1 212-555-0143",
        "my card is 4111 1111 1111 1111",
        "my card is 4539 1488 0343 6468",
        "my IBAN is GB29 NWBK 6016 1331 9268 19",
        "the server 192.0.2.7 is down",
        "order 4711, flight 1630, it cost £1,000",
        "I am Ottoline, see www.shop.com",
    ],
)
def test_what_belongs_to_nobody_passes(text):
    found = GenuineLooking()([customer(text, "c", "synthetic")])[0]
    # A card that fails its check digit is still a long number, and no card.
    assert found.state == "pass", found.detail


LONG = "yesterday evening the small blue kettle from my grandmother arrived with a hole"


def test_a_long_run_of_one_customers_words_fails():
    real = [
        customer(f"the parcel number {n} is late and nobody in the shop knows anything", f"r{n}") for n in range(50)
    ]
    check = VerbatimSpan([*real, customer(LONG, "kettle")])
    own, common, short = check(
        [
            customer("well, " + LONG.upper() + " in it", "a"),
            customer("is late and nobody in the shop knows anything", "b"),
            customer("the small blue kettle arrived", "c"),
        ]
    )
    assert (own.state, own.other_id, own.score) == ("fail", "kettle", 13.0)
    assert (common.state, short.state) == ("pass", "pass"), "what many say is nobody's own"


def test_without_real_data_nothing_fails():
    said = [customer(LONG, "c", "synthetic")]
    assert [VerbatimSpan([])(said)[0].state, RealData([])(said)[0].state] == ["pass", "pass"]


def test_the_detector_is_chosen_by_name(monkeypatch):
    assert personal.make_finder("builtin") is find
    with pytest.raises(UsageError, match="no detector"):
        personal.make_finder("other")
    monkeypatch.setattr(personal.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"posology\[presidio\]"):
        personal.make_finder("presidio")


@pytest.fixture
def presidio(monkeypatch):
    """A stand-in with presidio's interface that knows one name."""

    class Engine:
        def __init__(self, nlp_engine, supported_languages):
            assert supported_languages == ["en"]

        def get_supported_entities(self, language):
            return ["PERSON", "URL", "LOCATION", "CRYPTO"]

        def analyze(self, text, language, entities, score_threshold):
            assert entities == ["CRYPTO", "PERSON"]
            start = text.find("Maria Lopez")
            return [SimpleNamespace(entity_type="PERSON", start=start, end=start + 11)] if start >= 0 else []

    provider = SimpleNamespace(NlpEngineProvider=lambda nlp_configuration: SimpleNamespace(create_engine=lambda: None))
    monkeypatch.setitem(sys.modules, "presidio_analyzer", SimpleNamespace(AnalyzerEngine=Engine))
    monkeypatch.setitem(sys.modules, "presidio_analyzer.nlp_engine", provider)
    monkeypatch.setattr(personal.importlib.util, "find_spec", lambda name: object())
    return monkeypatch


def test_presidio_finds_names_without_a_cue(presidio):
    presidio.setattr(personal.pkgutil, "iter_modules", lambda: [SimpleNamespace(name="en_core_web_sm")])
    finder = personal.make_finder("presidio")
    real = [customer("Maria Lopez told me so, otto@proton.me too", "maria")]
    assert RealData(real, finder=finder)([customer("ask Maria Lopez")])[0].other_id == "maria"
    assert RealData(real)([customer("ask Maria Lopez")])[0].state == "pass"


def test_presidio_never_fetches_its_language_model(presidio):
    presidio.setattr(personal.pkgutil, "iter_modules", list)
    with pytest.raises(ModelError, match="spacy download"):
        personal.make_finder("presidio")


def test_a_conversation_that_was_exported_twice_still_belongs_to_somebody():
    words = "nobody but me would ever say this very thing about my three green parrots and their cage"
    real = [customer(f"message number {n} about thing {n * 7} and place {n * 13}", f"r{n}") for n in range(200)]
    real += [customer(words, "parrots"), customer(words, "parrots-again")]
    check = VerbatimSpan([*real, *(customer(c.messages[0].content, f"{c.id}-twice") for c in real[:9])])
    assert check.length == VerbatimSpan(real).length
    (found,) = check([customer(f"well, {words}", "s", "synthetic")])
    assert found.state == "fail"
    assert found.other_id == "parrots"


def test_what_an_agent_reads_back_is_not_published():
    def confirmed(n):
        said = "My address is jo.nobody@gmail.com, please send it there."
        messages = (Message("user", said), Message("assistant", "I send it to jo.nobody@gmail.com."))
        return Conversation(f"r{n}", messages, "refund", "real")

    real = RealData([confirmed(n) for n in range(5)])
    (found,) = real([customer("Write to jo.nobody@gmail.com", "s", "synthetic")])
    assert found.state == "fail"
    assert not real.published
