"""Which candidates are relabelled, and which are near a limit."""

import numpy as np
import pytest

from posology.verification.agreement import Agreement
from posology.verification.relabel import doubtful, relabelled, unchecked
from support import talk


def found(own, as_other, threshold=0.03):
    return Agreement(np.array(own), tuple("b" for _ in own), np.array(as_other), threshold)


def test_a_good_example_of_another_topic_is_relabelled_and_not_in_doubt():
    rows = found([0.01, 0.01, 0.01, 0.4], [0.6, 0.3, 0.05, 0.9])
    assert relabelled(rows) == {0: "b"}
    assert doubtful(rows) == [1], "the third is a poor example of either, the last one stands firm"


def test_who_hardly_passed_is_in_doubt():
    assert doubtful(found([0.03, 0.059, 0.06, 0.5], [0.0, 0.0, 0.0, 0.0])) == [0, 1]


def test_what_cannot_be_judged_is_in_no_doubt():
    assert doubtful(found([np.nan, np.nan], [0.3, np.nan])) == []


def test_unchecked_candidates_keep_their_topics():
    labels = unchecked([talk("1", "hello", "a"), talk("2", "hello", "b")])
    assert labels.topics == ("a", "b") and labels.findings == () and labels.settled({}) == labels
    with pytest.raises(KeyError):
        labels.settled({0: "other"})
