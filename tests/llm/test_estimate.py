import pytest

from posology.errors import BudgetReached
from posology.llm.budget import Budget
from posology.llm.contract import ChatRequest
from posology.llm.estimate import estimate
from posology.llm.prices import Price, Prices

PROVIDER = "openai http://localhost/v1"
PRICES = Prices({"m": Price(1.0, 4.0)})


def asks(n, model="m", max_tokens=100):
    return [ChatRequest(model, (("user", f"question {i}" * 10),), max_tokens=max_tokens) for i in range(n)]


def test_counts_tokens_and_money():
    (found,) = estimate(iter(asks(1000)), PROVIDER, PRICES, typical_reply=25)
    assert (found.calls, found.in_ledger) == (1000, 0)
    assert (found.output_tokens, found.most_output_tokens) == (25_000, 100_000)
    assert found.cost == pytest.approx((found.input_tokens + 4 * 25_000) / 1e6)
    assert found.most_cost > found.cost


def test_nothing_is_reckoned_twice():
    requests = asks(700)
    known = {request.key(PROVIDER) for request in requests[:600]}
    (found,) = estimate(requests + requests[650:], PROVIDER, PRICES, answered=lambda keys: known & set(keys))
    assert (found.calls, found.in_ledger) == (100, 650)


def test_all_in_the_ledger_costs_nothing():
    (found,) = estimate(asks(3), PROVIDER, PRICES, answered=set)
    assert (found.calls, found.cost, found.most_cost) == (0, 0.0, 0.0)


def test_an_unknown_price_is_said():
    (found,) = estimate(asks(2, "strange"), PROVIDER, PRICES)
    assert found.cost is None and found.most_cost is None
    assert "price not known" in found.summary and "0.00" not in found.summary


def test_models_apart_and_nothing_at_all():
    found = estimate(asks(2, "z") + asks(3), PROVIDER, PRICES)
    assert [(one.model, one.calls) for one in found] == [("m", 3), ("z", 2)]
    assert estimate([], PROVIDER, PRICES) == []


def test_a_typical_reply_is_never_longer_than_allowed():
    (found,) = estimate(asks(1, max_tokens=10), PROVIDER, PRICES, typical_reply=500)
    assert found.output_tokens == 10


def test_a_budget_of_the_most_suffices_and_of_less_does_not():
    requests = asks(50)
    (found,) = estimate(requests, PROVIDER, PRICES)
    gate = Budget(found.most_cost * 1.000001, PRICES).gate(PROVIDER, "m", stage="generate")
    for request in requests:
        gate.admit(request)
    gate = Budget(found.most_cost * 0.99, PRICES).gate(PROVIDER, "m", stage="generate")
    with pytest.raises(BudgetReached):
        for request in requests:
            gate.admit(request)


def test_the_summary_has_calls_tokens_and_money():
    (found,) = estimate(asks(1200), PROVIDER, PRICES)
    assert found.summary.startswith("m: 1,200 calls; about ")
    assert "at most" in found.summary
