import subprocess
import sys
from datetime import UTC, datetime

import pytest

from posology.errors import ConfigError
from posology.llm.contract import Usage
from posology.llm.prices import FREE, Price, Prices

OPENAI = "openai https://api.openai.com/v1"
ANTHROPIC = "anthropic https://api.anthropic.com"


def test_listed_prices_agree_with_the_list():
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    for provider, id, model in ((OPENAI, "openai", "gpt-4o-mini"), (ANTHROPIC, "anthropic", "claude-sonnet-4-5")):
        for tokens in ((1000, 200, 0), (150_000, 10, 50_000), (200_000, 5, 0), (200_001, 5, 100_000), (0, 0, 0)):
            theirs = calc_price(
                Tokens(input_tokens=tokens[0], output_tokens=tokens[1], cache_read_tokens=tokens[2]),
                model,
                provider_id=id,
                genai_request_timestamp=datetime.now(UTC),
            ).total_price
            assert Prices().cost(provider, model, Usage(*tokens)) == pytest.approx(float(theirs), rel=1e-9)


def test_a_batch_costs_half():
    usage = Usage(10_000, 1000)
    alone, batch = (Prices(batch=batch).cost(OPENAI, "gpt-4o-mini", usage) for batch in (False, True))
    assert batch == pytest.approx(alone / 2)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        (OPENAI, "no-such-model"),
        ("openai http://localhost:8000/v1", "gpt-4o-mini"),  # a name proves nothing on a server of one's own
        ("openai https://proxy.example/v1", "gpt-4o-mini"),
        (OPENAI, "text-embedding-3-small"),  # has no price for replies
    ],
)
def test_an_unknown_price_is_none_and_named(provider, model):
    prices = Prices()
    assert prices.price(provider, model) is None
    assert prices.cost(provider, model, Usage(1, 1)) is None
    assert prices.unknown == [(provider, model)]
    with pytest.raises(ConfigError, match="not known"):
        prices.known(provider, model)


def test_own_prices_win_everywhere():
    own = Price(1.0, 2.0, cached=0.5, call=0.25)
    prices = Prices({"gpt-4o-mini": own, "mine": own})
    for provider, model in ((OPENAI, "gpt-4o-mini"), ("openai http://localhost/v1", "mine"), ("local f x", "mine")):
        assert prices.known(provider, model) is own
    assert own.cost(Usage(2_000_000, 1_000_000, 1_000_000)) == pytest.approx(1.0 + 0.5 + 2.0 + 0.25)
    assert prices.unknown == []


def test_more_cached_than_sent_is_not_paid_back():
    assert Price(1.0, 0.0, cached=0.0).cost(Usage(10, 0, 50)) == 0.0


def test_local_and_scripted_models_are_free():
    assert Prices().price("local file.gguf abc", "anything") is FREE
    assert Prices().price("scripted x 0", "anything") is FREE


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_nonsense_is_refused(value):
    with pytest.raises(ConfigError):
        Price(value, 1.0)


def test_the_source_names_a_version():
    assert Prices().source().startswith("genai-prices ")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000"])
def test_a_server_on_this_machine_has_no_price_and_no_list_is_read_for_it(host):
    code = (
        "import sys; from posology.llm.prices import Prices; "
        f"assert Prices().price('openai http://{host}/v1', 'gpt-4o-mini') is None; "
        "assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
