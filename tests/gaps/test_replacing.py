from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from posology.gaps.allocation import TopicStats, replacing_sequence, topic_sequence

STATS = [TopicStats("big", 90, 90, 88, 72), TopicStats("mid", 9, 9, 5, 7), TopicStats("small", 1)]
POOL = {"big": 60, "mid": 60, "small": 60}


def test_thin_topics_come_first_and_full_ones_come_to_want_some():
    order = replacing_sequence(STATS, 100, POOL)
    assert Counter(order[:8])["small"] >= 7
    first_hundred = Counter(order[:100])
    assert first_hundred["big"] > 15, "the big topic has no real example left by then"
    assert Counter(topic_sequence(STATS, 100, POOL))["big"] == 0, "where real data stays it needs none"


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(0, 12)), st.integers(1, 50))
def test_everything_available_is_placed_once(available, size):
    stats = [TopicStats("a", 7), TopicStats("b", 0)]
    assert Counter(replacing_sequence(stats, size, available)) == +Counter(available)
