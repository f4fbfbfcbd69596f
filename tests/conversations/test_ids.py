from hypothesis import given, settings
from hypothesis import strategies as st

from posology.conversations import ids
from posology.conversations.ids import SeenIds


@given(st.lists(st.text(max_size=2), max_size=200))
@settings(database=None, deadline=None)
def test_agrees_with_a_dict(names):
    seen, first = SeenIds(), {}
    for line, name in enumerate(names, start=1):
        assert seen.add(name, line) == first.get(name)
        first.setdefault(name, line)


def test_remembers_across_growth():
    seen = SeenIds()
    assert all(seen.add(f"row-{i}", i) is None for i in range(1, 30_001))
    assert all(seen.add(f"row-{i}", 99) == i for i in range(1, 30_001, 7))


def test_small():
    seen = SeenIds()
    for i in range(1, 20_001):
        seen.add(str(i), i)
    assert 12 * len(seen._keys) <= 48 * 20_000
    assert len(seen._keys) == len(seen._lines)


def test_an_id_that_hashes_to_zero_is_remembered(monkeypatch):
    monkeypatch.setattr(ids, "hash", lambda _: 0, raising=False)
    seen = SeenIds()
    assert (seen.add("a", 3), seen.add("a", 5)) == (None, 3)
