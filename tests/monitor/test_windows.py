import numpy as np
import pytest

from monitor_support import window
from posology.errors import StoreError
from posology.monitor.windows import Window, labels


def equal(first, second):
    for name in ("ids", "vectors", "topics", "confidence", "similarity", "words", "language", "layout"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    for kind in ("mood", "mess"):
        one, other = getattr(first, kind), getattr(second, kind)
        assert one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def test_a_window_is_kept_without_text_and_read_again(tmp_path):
    seen = window(30)
    seen.save(tmp_path / "w.npz")
    equal(Window.load(tmp_path / "w.npz"), seen)


def test_a_table_gives_the_window_back():
    pytest.importorskip("pandas")
    seen = window(30)
    frame = seen.frame(topic=[None] * 30)
    assert {"id", "predicted", "topic", "mood.arousal", "v0000"} <= set(frame.columns)
    equal(Window.from_frame(frame), seen)


def test_a_sample_is_part_of_it_in_order():
    seen = window(50)
    some = seen.sample(10, seed=1)
    assert len(some) == 10 and seen.sample(50, seed=1) is seen
    places = [seen.ids.tolist().index(id) for id in some.ids]
    assert places == sorted(set(places))


def test_a_missing_or_damaged_file_says_so(tmp_path):
    with pytest.raises(StoreError, match="missing"):
        Window.load(tmp_path / "none.npz")
    (tmp_path / "w.npz").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(StoreError, match="damaged"):
        Window.load(tmp_path / "w.npz")
    assert labels([]).shape == (0,)
