import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.errors import BudgetReached, ConfigError, UsageError
from posology.llm.budget import Budget, BudgetHeld, most_tokens
from posology.llm.contract import ChatRequest, Usage
from posology.llm.prices import Price, Prices

PROVIDER = "openai http://localhost/v1"
PRICES = Prices({"m": Price(1.0, 4.0), "n": Price(10.0, 10.0)})


def ask(text="hello", model="m", **settings):
    return ChatRequest(model, (("user", text),), **settings)


def cost(request):
    return PRICES.known(PROVIDER, request.model).cost(most_tokens(request))


def test_what_fits_is_admitted_and_the_next_is_not():
    request = ask(max_tokens=100)
    budget = Budget(2.5 * cost(request), PRICES)
    gate = budget.gate(PROVIDER, "m", stage="generate")
    gate.admit(request)
    gate.admit(request)
    assert budget.reserved == pytest.approx(2 * cost(request))
    with pytest.raises(BudgetHeld) as held:  # two in flight may turn out cheaper
        gate.admit(request)
    assert held.value.exit_code == 4
    gate.settle(request, Usage(5, 10))
    gate.admit(request)
    gate.settle(request, most_tokens(request))
    gate.settle(request, most_tokens(request))
    with pytest.raises(BudgetReached) as reached:
        gate.admit(request)
    assert not isinstance(reached.value, BudgetHeld)
    assert budget.reserved == 0.0


def test_a_budget_of_nothing_admits_only_what_is_free():
    gate = Budget(0.0, PRICES).gate(PROVIDER, "m", stage="generate")
    with pytest.raises(BudgetReached):
        gate.admit(ask())
    free = Budget(0.0, Prices()).gate("local a b", "x", stage="generate")
    free.admit(ask(model="x"))


def test_a_budget_needs_a_price():
    with pytest.raises(ConfigError, match="not known"):
        Budget(1.0, PRICES).gate(PROVIDER, "strange", stage="generate")
    gate = Budget(1.0, PRICES).gate(PROVIDER, "m", stage="generate")
    with pytest.raises(ConfigError):
        gate.admit(ask(model="strange"))


def test_without_a_limit_an_unknown_price_is_none_in_the_totals():
    budget = Budget(None, PRICES)
    gate = budget.gate(PROVIDER, "strange", stage="generate")
    gate.admit(ask(model="strange"))
    gate.settle(ask(model="strange"), Usage(7, 3, 2))
    (total,) = budget.totals()
    assert (total.calls, total.input_tokens, total.output_tokens, total.cached_tokens, total.cost) == (1, 7, 3, 2, None)
    assert budget.spent == 0.0


def test_totals_are_by_stage_and_model():
    budget = Budget(None, PRICES)
    for stage, model, usage in (("verify", "n", Usage(1_000_000, 0)), ("generate", "m", Usage(0, 1_000_000))):
        gate = budget.gate(PROVIDER, model, stage=stage)
        for outcome in (usage, usage, Usage()):
            gate.admit(ask(model=model))
            gate.settle(ask(model=model), outcome)
    generate, verify = budget.totals()
    assert (generate.stage, generate.model, generate.calls, generate.failed) == ("generate", "m", 2, 1)
    assert (generate.cost, verify.cost) == (pytest.approx(8.0), pytest.approx(20.0))
    assert budget.spent == pytest.approx(28.0)


def test_a_failed_call_gives_its_money_back():
    budget = Budget(1.0, Prices({"m": Price(1.0, 1.0, call=0.6)}))
    gate = budget.gate(PROVIDER, "m", stage="generate")
    gate.admit(ask())
    gate.settle(ask(), Usage())
    assert budget.spent == budget.reserved == 0.0
    gate.admit(ask())


def test_earlier_runs_count():
    budget = Budget(1.0, PRICES, spent=1.0)
    with pytest.raises(BudgetReached):
        budget.gate(PROVIDER, "m", stage="generate").admit(ask())


def test_what_was_sent_already_counts_even_if_it_does_not_fit():
    budget = Budget(0.0, PRICES)
    budget.gate(PROVIDER, "m", stage="generate").admit(ask(), sent=True)
    assert budget.reserved == pytest.approx(cost(ask()))


def test_settling_what_was_never_admitted_is_a_bug():
    with pytest.raises(ValueError, match="never admitted"):
        Budget(1.0, PRICES).gate(PROVIDER, "m", stage="generate").settle(ask(), Usage(1, 1))


@pytest.mark.parametrize("limit", [-1.0, float("nan"), float("inf")])
def test_nonsense_is_refused(limit):
    with pytest.raises(UsageError):
        Budget(limit, PRICES)


@given(st.text(max_size=300), st.integers(1, 4))
def test_the_estimate_is_on_the_safe_side_of_four_characters_a_token(text, messages):
    request = ChatRequest("m", (("user", text),) * messages, schema={"type": "object"}, max_tokens=9)
    most = most_tokens(request)
    assert most.input_tokens >= messages * (len(text) / 4 + 4)
    assert most.output_tokens == 9


@given(
    st.floats(0, 0.02),
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 400), st.floats(0, 1), st.booleans()), max_size=80),
    st.randoms(use_true_random=False),
)
def test_the_budget_is_never_passed(limit, calls, random):
    """Any order of sending and settling; replies cost at most what was set aside."""
    budget = Budget(limit, PRICES)
    gate = budget.gate(PROVIDER, "m", stage="generate")
    flying = []

    def settle():
        request, share = flying.pop(random.randrange(len(flying)))
        most = most_tokens(request)
        gate.settle(request, Usage(int(most.input_tokens * share), int(most.output_tokens * share)))

    refused = 0
    for length, max_tokens, share, later in calls:
        request = ask("x" * length, max_tokens=max_tokens)
        try:
            gate.admit(request)
            flying.append((request, share))
        except BudgetReached as error:
            refused += 1
            assert budget.spent + budget.reserved + cost(request) > limit
            assert isinstance(error, BudgetHeld) == bool(flying and budget.spent + cost(request) <= limit)
        if not later and flying:
            settle()
        assert budget.spent + budget.reserved <= limit + 1e-12
    while flying:
        settle()
    assert budget.reserved == 0.0
    assert sum(total.calls + total.failed for total in budget.totals()) == len(calls) - refused


def test_threads_do_not_pass_it_together():
    request = ask(max_tokens=100)
    budget = Budget(100.5 * cost(request), PRICES)
    gate = budget.gate(PROVIDER, "m", stage="generate")
    admitted = []

    def work():
        for _ in range(50):
            try:
                gate.admit(request)
            except BudgetReached:
                continue
            admitted.append(1)
            gate.settle(request, most_tokens(request))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) <= 100
    assert budget.spent == pytest.approx(len(admitted) * cost(request))
    assert budget.spent <= budget.limit
