import numpy as np
import pytest

from posology.gaps import traffic as module
from posology.gaps.traffic import traffic_clusters
from posology.records import Conversation, Message

DIMENSIONS = 64


def around(centre, n, rng, spread=0.06):
    rows = centre + spread * rng.normal(size=(n, DIMENSIONS))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def talk(prefix, n, text, topic=None):
    return [Conversation(f"{prefix}{i:03}", (Message("user", f"{text} number {i}"),), topic) for i in range(n)]


@pytest.fixture
def world():
    """Two trained topics; traffic on both, on two new subjects, and scattered."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    train = talk("a", 60, "my card is late", "card") + talk("b", 60, "transfer of money", "transfer")
    vectors = np.vstack([around(centres[0], 60, rng), around(centres[1], 60, rng)])
    traffic = [
        *talk("c", 50, "my card is late"),
        *talk("p", 20, "the parrot shouts"),
        *talk("t", 9, "tea spilled here"),
        *talk("s", 30, "who knows"),
    ]
    scattered = around(np.zeros(DIMENSIONS), 30, rng)
    seen = np.vstack([around(centres[0], 50, rng), around(centres[2], 20, rng), around(centres[3], 9, rng), scattered])
    return train, vectors, traffic, seen


def test_new_subjects_are_found_and_old_ones_are_not(world):
    found = traffic_clusters(*world)
    assert [cluster.size for cluster in found.clusters] == [20, 9]
    parrot, tea = found.clusters
    assert {e.id[0] for e in parrot.examples} == {"p"}
    assert {e.id[0] for e in tea.examples} == {"t"}
    assert set(parrot.words[:3]) == {"the", "parrot", "shouts"}
    assert "number" not in parrot.words[:3]
    assert parrot.share == pytest.approx(20 / 109)
    assert parrot.nearest_topic in {"card", "transfer"}
    assert parrot.similarity < found.threshold
    assert found.n == 109
    assert found.n_far == 29 + found.n_noise
    assert 25 <= found.n_noise <= 40


def test_traffic_like_the_training_data_has_no_clusters(world):
    train, vectors, traffic, seen = world
    found = traffic_clusters(train, vectors, traffic[:50], seen[:50])
    assert found.clusters == ()
    assert found.n_far <= 10


def test_one_lone_new_subject_is_found(world):
    train, vectors, traffic, seen = world
    (cluster,) = traffic_clusters(train, vectors, traffic[50:70], seen[50:70]).clusters
    assert cluster.size == 20


def test_same_twice_and_whatever_the_length_of_vectors(world):
    train, vectors, traffic, seen = world
    first = traffic_clusters(train, vectors, traffic, seen)
    assert first == traffic_clusters(train, vectors, traffic, seen)
    longer = traffic_clusters(train, vectors * 3, traffic, seen * 7)
    assert [c.size for c in longer.clusters] == [c.size for c in first.clusters]


def test_clusters_must_reach_the_smallest_size(world):
    assert [c.size for c in traffic_clusters(*world, min_size=10).clusters] == [20]
    assert traffic_clusters(*world, min_size=21).clusters == ()


def test_many_far_rows_are_clustered_from_a_draw(world, monkeypatch):
    monkeypatch.setattr(module, "SEEDING_ROWS", 30)
    found = traffic_clusters(*world, seed=1)
    assert found.clusters[0].size >= 18  # also those that were not drawn join
    assert found == traffic_clusters(*world, seed=1)


def test_messages_without_text_are_left_out_and_counted(world):
    train, vectors, traffic, seen = world
    mute = [Conversation(f"m{i}", (Message("assistant", "hello"),)) for i in range(8)]
    found = traffic_clusters(train, vectors, traffic + mute, np.vstack([seen, np.zeros((8, DIMENSIONS), np.float32)]))
    assert (found.n, found.n_empty) == (109, 8)
    assert [c.size for c in found.clusters] == [20, 9]


def test_repeated_messages_make_a_cluster(world):
    train, vectors, _, seen = world
    spam = [Conversation(f"x{i}", (Message("user", "buy now"),)) for i in range(12)]
    (cluster,) = traffic_clusters(train, vectors, spam, np.repeat(seen[50:51], 12, axis=0)).clusters
    assert (cluster.size, cluster.examples[0].text) == (12, "buy now")


def test_excerpts_are_short_and_on_one_line(world):
    train, vectors, _, seen = world
    long = [Conversation(f"x{i}", (Message("user", "word\n" * 200),)) for i in range(12)]
    text = traffic_clusters(train, vectors, long, seen[50:62]).clusters[0].examples[0].text
    assert len(text) <= module.EXCERPT
    assert "\n" not in text
    assert text.endswith("…")


@pytest.mark.parametrize("n_train", [0, 1])
def test_too_little_training_data_is_no_verdict(world, n_train):
    train, vectors, traffic, seen = world
    found = traffic_clusters(train[:n_train], vectors[:n_train], traffic, seen)
    assert (found.threshold, found.n_far, found.clusters) == (None, 0, ())


def test_no_traffic(world):
    train, vectors, _, seen = world
    found = traffic_clusters(train, vectors, [], seen[:0])
    assert (found.n, found.threshold, found.clusters) == (0, None, ())


def test_bad_arguments(world):
    train, vectors, traffic, seen = world
    with pytest.raises(ValueError, match="one vector"):
        traffic_clusters(train, vectors[:-1], traffic, seen)
    with pytest.raises(ValueError, match="far_quantile"):
        traffic_clusters(train, vectors, traffic, seen, far_quantile=1.5)
    with pytest.raises(ValueError, match="min_size"):
        traffic_clusters(train, vectors, traffic, seen, min_size=0)
