import pytest

from posology.records import Conversation, Message
from posology.verification.form import DETECTORS, Form
from posology.verification.habits import ENOUGH, highest_usual
from posology.verification.repetition import PolitenessLoop, Repetition, polite_run, repeated_share


def talk(*turns, id="c"):
    roles = ("user", "assistant")
    return Conversation(id, tuple(Message(roles[i % 2], turn) for i, turn in enumerate(turns)), "t", "synthetic")


CLEAN = talk("Where is my parcel?", "It will arrive on Friday.", "thx")
DEFECTS = {
    "empty_turn": talk("Hello?", "   "),
    "repeated_turn": talk("Where is my parcel?", "It is late.", "where is my PARCEL"),
    "placeholder": talk("Hello, I am [Customer Name] and my parcel is late"),
    "disclaimer": talk("Where is it?", "As an AI language model, I cannot see parcels."),
    "meta_talk": talk("Here is the conversation: hello"),
    "markup": talk("Hello, my **parcel** is late"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_is_found_and_a_clean_conversation_passes(name):
    bad, clean = Form(name, [CLEAN] * 10)([DEFECTS[name], CLEAN])
    assert (bad.check, bad.state, clean.state) == (name, "fail", "pass")
    assert bad.detail


def test_turns_out_of_order_fail():
    upside_down = Conversation("c", (Message("assistant", "Hello"), Message("user", "Hi")), "t", "synthetic")
    assert Form("roles", [CLEAN])([upside_down])[0].state == "fail"


def test_what_real_conversations_do_is_no_defect():
    real = [talk("first", "a", id=str(n)) for n in range(97)] + [DEFECTS["markup"]] * 3
    (finding,) = Form("markup", real)([DEFECTS["markup"]])
    assert finding.state == "unscored" and "3.0%" in finding.detail
    assert set(DETECTORS) >= set(DEFECTS)


def test_a_text_that_goes_round_in_circles():
    loop = talk("I want my card back now " * 6)
    assert repeated_share(loop) > 0.7
    assert repeated_share(CLEAN) == 0.0
    assert repeated_share(Conversation("e", (Message("user", ""),), "t")) == 0.0
    check = Repetition([CLEAN])
    assert [f.state for f in check([loop, CLEAN])] == ["fail", "pass"]


def test_a_run_does_not_span_two_turns():
    assert repeated_share(talk("one two", "three four", "one two", "three four")) == 0.0


POLITE = (
    "Thanks so much!",
    "You're welcome! Have a great day.",
    "You too, bye!",
    "Goodbye! Take care.",
    "Thank you again.",
)


def test_two_who_cannot_stop_thanking():
    assert polite_run(talk("Where is it?", "On its way.", *POLITE)) == 5
    assert polite_run(talk("Where is it?", "On its way.", *POLITE[:2])) == 2
    assert polite_run(talk("Thanks, but where is my parcel?", "You're welcome to ask. It is in Leeds.")) == 0
    check = PolitenessLoop([])
    assert [f.state for f in check([talk("?", "Friday.", *POLITE), talk("?", "Friday.", *POLITE[:3])])] == [
        "fail",
        "pass",
    ]


def test_real_habits_raise_a_limit_and_never_lower_it():
    assert highest_usual([0.0] * (ENOUGH - 1), at_least=3) == 3
    assert highest_usual([9.0] * ENOUGH, at_least=3) == 9
    assert highest_usual([0.0] * ENOUGH, at_least=3) == 3
    assert highest_usual([0.0] * 996 + [9.0] * 4, at_least=3) == 3, "four of a thousand are not usual"


def test_a_very_long_polite_turn_takes_no_time():
    assert polite_run(talk("thank you " * 5000 + "x")) == 0
