import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.mixture.arms import arms, counts, highest_dose, learning_parts, mixture
from posology.records import Conversation, Message


def rows(n, source):
    return [Conversation(f"{source}{i}", (Message("user", f"{source} {i}"),), "a", source) for i in range(n)]


@pytest.mark.parametrize(
    ("dose", "design", "expected"),
    [
        (0, "augment", (2000, 0, 0)),
        (0.1, "augment", (2000, 222, 0)),
        (0.3, "augment", (2000, 857, 0)),
        (0.5, "augment", (2000, 2000, 0)),
        (0.6, "augment", (2000, 2310, 690)),
        (1, "augment", (0, 2310, 0)),
        (0.3, "replace", (1400, 600, 0)),
        (1, "replace", (0, 2000, 0)),
    ],
)
def test_counts(dose, design, expected):
    assert counts(dose, 2000, 2310, design) == expected


def test_a_short_pool_under_replace_is_filled_with_real_data():
    assert counts(0.5, 100, 20, "replace") == (80, 20, 30)


@given(
    st.floats(0, 1), st.integers(1, 60), st.integers(0, 60), st.sampled_from(["augment", "replace"]), st.integers(0, 5)
)
def test_a_mixture_reaches_its_dose_or_says_what_it_lacks(dose, n_real, n_pool, design, seed):
    m = mixture(dose, "selected", seed, design=design, real=rows(n_real, "real"), ranked=rows(n_pool, "synthetic"))
    assert len({c.id for c in m.conversations}) == len(m.conversations)
    if design == "replace":
        assert len(m.conversations) == n_real
    elif dose < 1:
        assert len(m.real) == n_real
    if m.n_pool_short == 0 and not (design == "augment" and dose == 1):
        # Rounding to whole conversations moves the dose by less than one conversation.
        assert abs(m.actual_dose - dose) <= 1 / max(1, len(m.conversations))


@given(st.integers(0, 9), st.sampled_from(["selected", "random"]), st.sampled_from(["augment", "replace"]))
def test_arms_are_nested(seed, kind, design):
    real, pool = rows(50, "real"), rows(40, "synthetic")
    small, large = (mixture(d, kind, seed, design=design, real=real, ranked=pool) for d in (0.1, 0.4))
    assert large.synthetic[: len(small.synthetic)] == small.synthetic
    assert set(map(id, large.real)) <= set(map(id, small.real))


def test_selected_takes_the_first_and_random_draws_by_seed():
    real, pool = rows(10, "real"), rows(30, "synthetic")
    first = mixture(0.5, "selected", 0, design="augment", real=real, ranked=pool)
    assert list(first.synthetic) == pool[:10]
    draws = [mixture(0.5, "random", seed, design="augment", real=real, ranked=pool).synthetic for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_every_dose_above_zero_has_a_control():
    assert arms([0, 0.3], controls=True) == [(0, "selected"), (0.3, "selected"), (0.3, "random")]
    assert arms([0, 0.3], controls=False) == [(0, "selected"), (0.3, "selected")]


def test_weights_follow_the_source():
    m = mixture(
        0.5, "selected", 0, design="augment", real=rows(2, "real"), ranked=rows(2, "synthetic"), synthetic_weight=0.6
    )
    assert m.weights == [1.0, 1.0, 0.6, 0.6]


def test_highest_dose_is_what_the_pool_reaches():
    assert highest_dose(2000, 2310, "augment") == 0.5
    assert highest_dose(2000, 0, "augment") == 0.0
    assert highest_dose(100, 100, "replace") == 0.95


def test_learning_parts_grow_and_are_real_alone():
    parts = learning_parts(rows(40, "real"))
    assert [len(p.real) for p in parts] == [10] * 3 + [20] * 3 + [30] * 3
    assert not any(p.synthetic for p in parts)
    assert {c.id for c in parts[0].real} <= {c.id for c in parts[3].real}
