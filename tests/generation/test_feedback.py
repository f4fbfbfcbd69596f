from posology.generation.feedback import Feedback, NotThese, opening_words
from posology.records import Conversation, Message


def talk(text, answer="ok", topic="refund"):
    return Conversation("a", (Message("user", text), Message("assistant", answer)), topic, "synthetic")


def test_openings_stay_with_their_topic_and_names_do_not():
    feedback = Feedback()
    feedback.add(talk("Hello, my name is Sarah Jones. Where is my refund?", "Hi Sarah Jones, let me see."))
    feedback.add(talk("label please\nThanks, Omar", topic="return"))
    opening = "Hello, my name is Sarah Jones. Where is"
    assert feedback.not_these("refund") == NotThese((opening,), ("Sarah Jones", "Omar"))
    assert feedback.not_these("other").openings == ()


def test_size_is_bounded_and_the_newest_stay():
    feedback = Feedback(max_openings=3, max_names=2)
    for n in range(50):
        feedback.add(talk(f"message {n} " + "x" * 500 + f" my name is N{'abcdefghij'[n % 10] * 3}."))
    found = feedback.not_these("refund")
    assert [opening.split()[1] for opening in found.openings] == ["47", "48", "49"]
    assert len(found.names) == 2
    assert all(len(opening) <= 60 for opening in found.openings)


def test_mistakes_and_openings_of_earlier_attempts_come_along_once():
    found = Feedback().not_these("a", ("It held markup.", "It held markup."), ("so", "so"))
    assert found == NotThese(("so",), (), ("It held markup.",))


def test_opening_words_are_few():
    assert opening_words("one two three four five six seven eight nine") == "one two three four five six seven eight"
    assert opening_words("  ") == ""
