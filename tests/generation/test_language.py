import pytest

from posology.generation.language import NAMES, common_language, differs, language_of, turns_differ

TEXTS = {
    "en": "Hello, I would like to know where my order is, it should have been here on Monday.",
    "de": "Guten Tag, ich habe meine Bestellung noch nicht erhalten und möchte wissen, wo sie ist.",
    "fr": "Bonjour, je n'ai pas encore reçu ma commande et je voudrais savoir où elle est, merci pour votre aide.",
    "es": "Hola, no he recibido mi pedido y me gustaría saber cuándo llega porque es muy urgente para mí.",
    "it": "Buongiorno, non ho ancora ricevuto il mio ordine e vorrei sapere che cosa è successo.",
    "pt": "Olá, ainda não recebi o meu pedido e queria saber quando é que chega, muito obrigado.",
    "nl": "Hallo, ik heb mijn bestelling nog niet ontvangen en wil graag weten waar het pakket is.",
    "sv": "Hej, jag har inte fått mitt paket och vill veta när det kommer, kan ni hjälpa mig med det?",
    "pl": "Dzień dobry, nie mam jeszcze mojej przesyłki i proszę o informację, czy jest już w drodze.",
    "tr": "Merhaba, paketim gelmedi ve bu benim için çok önemli, ne zaman gelecek lütfen?",
    "ru": "Здравствуйте, я ещё не получил свой заказ.",
    "zh": "你好 我还没有收到我的订单。",
    "ja": "こんにちは、注文した商品がまだ届いていません。",
    "ko": "안녕하세요, 주문한 상품이 아직 도착하지 않았습니다.",
    "ar": "مرحبا، لم أستلم طلبي بعد.",
    "el": "Γεια σας, δεν έλαβα την παραγγελία μου.",
}


@pytest.mark.parametrize(("language", "text"), TEXTS.items())
def test_languages_are_told_apart(language, text):
    assert language_of(text) == language
    assert differs(text, language) is None
    for other in ("en", "de", "ja", "ru"):
        if other != language and {other, language} - {"zh", "ja", "ko"}:
            assert differs(text, other) == language


@pytest.mark.parametrize("text", ["", "ok", "LF-921775", "😀😀", "refund??", "Visa 4242", "Größe"])
def test_short_texts_say_nothing(text):
    assert language_of(text) is None
    assert differs(text, "en") is None


def test_foreign_words_in_a_text_do_not_make_it_foreign():
    assert differs("My order from Café de la Paix in Aix-en-Provence never arrived", "en") is None
    assert differs("I paid with the Überweisung, what do I do now?", "en") is None


def test_the_language_of_most_texts():
    assert common_language([TEXTS["de"], TEXTS["de"], TEXTS["en"], "ok"]) == "de"
    assert common_language(["ok", ""]) is None
    assert common_language([TEXTS["de"], TEXTS["en"]]) is None
    assert set(TEXTS) <= set(NAMES)


@pytest.mark.data
@pytest.mark.parametrize("name", ["banking77/real.jsonl", "twacs/labelled.jsonl"])
def test_real_english_messages_are_hardly_ever_called_foreign(data_folder, name):
    from posology.conversations.reading import read

    texts = [m.content for c in read(data_folder / name).conversations for m in c.messages]
    wrong = sum(differs(text, "en") is not None for text in texts)
    assert wrong <= 0.002 * len(texts)


@pytest.mark.parametrize("language", ["en", "de", "ja"])
def test_turns_are_judged_together_and_one_by_one(language):
    for other in TEXTS:
        for turns in ([TEXTS["en"], TEXTS[other]], [TEXTS[other]] * 3, [TEXTS["en"], "ok", TEXTS["en"], TEXTS[other]]):
            each = [differs(text, language) for text in ("\n".join(turns), *turns)]
            assert turns_differ(turns, language) == next(filter(None, each), None)
    assert turns_differ([], language) is None
