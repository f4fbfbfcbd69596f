import pytest

from posology.records import Conversation, DocSection, Message
from posology.verification.facts import facts
from posology.verification.faithfulness import Faithfulness

DOCS = [
    DocSection(
        "returns.md",
        "Returns",
        "return_item",
        "Unused items can be returned within 60 days of delivery. The return label costs £2.95. Refunds reach the bank "
        "in 3\u20135 working days. A restocking fee of 10% applies to opened tents. Call 0800 123 4567 or see "
        "www.shop.example/returns.",
    ),
    DocSection(
        "delivery.md", "Delivery", "late_delivery", "Express delivery costs £7.50 and takes 24 hours. Up to 3 attempts."
    ),
    DocSection("policy.md", "Refund authority", None, "An agent may refund up to £20 as goodwill without asking."),
]
CATALOG = [
    {
        "name": "Ridge 2 tent",
        "category": "Tents",
        "price_gbp": "289.00",
        "description": "Two-person tent; 5-year warranty.",
    },
    {"name": "Gold membership", "category": "membership", "price_gbp": "30.00"},
]


def talk(agent, customer="Hi, how does it work?", topic="return_item"):
    return Conversation("c", (Message("user", customer), Message("assistant", agent)), topic, "synthetic")


def state(agent, customer="Hi, how does it work?", topic="return_item"):
    (finding,) = Faithfulness(DOCS, CATALOG)([talk(agent, customer, topic)])
    return finding.state


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("£1,000", ("amount", "gbp", 1000.0, "")),
        ("1000 pounds", ("amount", "gbp", 1000.0, "")),
        ("1k GBP", ("amount", "gbp", 1000.0, "")),
        ("two hundred and fifty pounds", ("amount", "gbp", 250.0, "")),
        ("50p", ("amount", "", 0.5, "")),
        ("69.00", ("amount", "", 69.0, "")),
        ("EUR 12.50", ("amount", "eur", 12.5, "")),
        ("2,5 %", ("percentage", "", 2.5, "")),
        ("two per cent", ("percentage", "", 2.0, "")),
        ("24 hours", ("period", "time", 86400.0, "")),
        ("two weeks", ("period", "time", 1209600.0, "")),
        ("a 2-year warranty", ("period", "months", 24.0, "")),
        ("0800 123 4567", ("contact", "phone", 0.0, "8001234567")),
        ("https://www.Shop.example/returns/", ("contact", "link", 0.0, "shop.example/returns")),
        ("help@shop.example", ("contact", "email", 0.0, "help@shop.example")),
    ],
)
def test_values_are_brought_to_one_form(text, key):
    assert key in [fact.key for fact in facts(f"It is {text} for you")]


def test_both_ends_of_a_range_have_its_unit():
    day = 86400.0
    assert [f.value for f in facts("3-5 working days")] == [3 * day, 5 * day]
    assert [f.key[:2] for f in facts("between 5 and 10 %")] == [("percentage", "")] * 2


@pytest.mark.parametrize(
    "text",
    [
        "on 12 March",
        "March 3rd",
        "at 9am",
        "at 22:00",
        "order 12345678",
        "#4711",
        "LF-20931X",
        "the 2nd time",
        "24/7",
        "step 3",
    ],
)
def test_dates_times_and_order_numbers_are_no_figures(text):
    assert [fact for fact in facts(text) if fact.kind != "count"] == []
    assert [fact for fact in facts(text) if fact.value >= 100] == []


@pytest.mark.parametrize(
    "agent",
    [
        "You have sixty days to return it.",
        "The label is 2.95, and the money is back in 3 to 5 working days.",
        "The label is about 3 pounds.",
        "The opened tent costs ten percent of its price.",
        "Just call 0800 1234567.",
        "The Ridge 2 costs £289.",
        "Keep it unused, and all is well.",
    ],
)
def test_what_the_documentation_says_may_be_said(agent):
    assert state(agent) == "pass"


@pytest.mark.parametrize(
    "agent",
    [
        "You have 90 days to return it.",
        "The return label costs £4.95.",
        "The restocking fee is 15%.",
        "Call 0800 765 4321.",
        "See www.shops.example for more.",
        "Look at our Platinum membership for that.",
        "The Ridge 2 costs £298.",
    ],
)
def test_what_stands_nowhere_fails(agent):
    assert state(agent) == "fail"


def test_the_customers_own_figures_count_and_so_does_what_follows_from_them():
    assert state("So your £45.20 is on its way.", "I paid £45.20") == "pass"
    assert state("10% of it is £20.00, the rest comes back.", "My opened tent was £200") == "pass"
    assert state("You have 10 days left.", "It came 50 days ago") == "pass"
    assert state("So your £54.20 is on its way.", "I paid £45.20") == "fail"


def test_a_figure_of_another_section_counts_where_it_speaks_of_the_same_thing():
    assert state("As goodwill I may refund up to £20 without asking anybody.") == "pass"
    assert state("The label costs £20.") == "fail"
    assert state("Express delivery would cost £7.50.") == "pass"


def test_a_sentence_that_is_followed_closely_decides():
    docs = [
        DocSection(
            "a.md", "Fees", "fee", "Outgoing transfers cost £5.00 each. Incoming transfers from abroad cost £3.00 each."
        )
    ]
    check = Faithfulness(docs)
    found = [
        check([talk(text, topic="fee")])[0].state
        for text in ("Outgoing transfers cost £5.00 each.", "Outgoing transfers cost £8.00 each.")
    ]
    assert found == ["pass", "fail"]


def test_counts_are_held_against_counts_of_the_same_thing():
    assert state("We make three attempts.", topic="late_delivery") == "pass"
    assert state("We make 5 attempts.", topic="late_delivery") == "fail"
    assert state("I have sent you 2 emails.", topic="late_delivery") == "pass"


def test_without_documentation_or_agent_nothing_is_scored():
    assert Faithfulness([])([talk("It costs £5.")])[0].state == "unscored"
    alone = Conversation("c", (Message("user", "It cost me £5"),), "return_item", "synthetic")
    assert Faithfulness(DOCS)([alone])[0].state == "unscored"
    assert Faithfulness(DOCS)([]) == []


def test_documentation_that_real_agents_do_not_keep_to_judges_nobody():
    real = [talk(f"That is £{n}.50 for you.") for n in range(40, 90)]
    (finding,) = Faithfulness(DOCS, CATALOG, real)([talk("You have 90 days.")])
    assert finding.state == "unscored" and "100%" in finding.detail


def test_a_finding_counts_and_never_quotes():
    (finding,) = Faithfulness(DOCS, CATALOG)([talk("You have 90 days and the label is £2.95.")])
    assert (finding.score, finding.threshold) == (0.5, 1.0)
    assert "90" not in finding.detail and "period 1" in finding.detail
