import numpy as np
import pytest

from posology.embedding.embedder import Embedder
from posology.embedding.encoders import make_encoder
from posology.errors import TrainingError, UsageError
from posology.linear import folds_by_topic
from posology.progress import Silent
from posology.records import Mixture
from posology.training.contract import Trainer, make_trainer
from posology.training.fitting import arm_result, fit_all
from posology.training.head import HeadTrainer
from support import talk

WORDS = {"parcel": "my parcel is late", "refund": "i want my money back", "size": "these boots are too small"}


def data(n, topics=WORDS):
    return [talk(f"{t}{i}", f"{text} {'really ' * (i % 4)}{i}", t) for t, text in topics.items() for i in range(n)]


def mixed(real, synthetic=(), *, seed=0, weight=1.0, kind="selected"):
    return Mixture(0.0, kind, "augment", seed, tuple(real), tuple(synthetic), 0, weight)


@pytest.fixture
def embedder():
    return Embedder(make_encoder("lexical"))


@pytest.fixture
def trainer(embedder):
    return HeadTrainer(embedder, jobs=2)


def test_a_head_learns_saves_and_loads_without_pickle(trainer, tmp_path):
    variant = trainer.fit(mixed(data(8)))
    asked = [talk("q", "when does my parcel come"), talk("p", "the boots are small")]
    predictions = variant.predict(asked)
    assert predictions.best == ["parcel", "size"]
    assert np.allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-5)
    variant.save(tmp_path)
    assert np.array_equal(trainer.load(tmp_path).predict(asked).probabilities, predictions.probabilities)
    with np.load(tmp_path / "head.npz", allow_pickle=False) as arrays:
        assert arrays["coefficients"].shape == (3, 512)


def test_two_topics_and_one_topic_have_the_same_form(trainer):
    two = trainer.fit(mixed(data(6, {k: WORDS[k] for k in ("parcel", "size")})))
    assert two.coefficients.shape[0] == 2 and two.predict([talk("q", "parcel late")]).best == ["parcel"]
    one = trainer.fit(mixed(data(6, {"size": WORDS["size"]})))
    assert one.predict([talk("q", "anything")]).probabilities.tolist() == [[1.0]]


def test_an_empty_mixture_is_an_error(trainer):
    with pytest.raises(TrainingError, match="nothing to train on"):
        trainer.fit(mixed([]))


def test_topics_weigh_the_same_whatever_their_number(trainer):
    # One "refund" among many "parcel" rows that share its words: balancing must not let it drown.
    real = [talk(f"p{i}", f"money for my parcel {i}", "parcel") for i in range(40)] + [
        talk("r", "i want my money back", "refund")
    ]
    assert trainer.fit(mixed(real)).predict([talk("q", "i want my money back")]).best == ["refund"]


def test_the_weight_of_synthetic_examples_matters(trainer):
    real, synthetic = [talk("r", "hello there", "a"), talk("s", "good bye", "b")], [talk("x", "hello there", "b")]
    heavy, light = (trainer.fit(mixed(real, synthetic, weight=w)) for w in (1.0, 0.1))
    p_heavy, p_light = (v.predict([talk("q", "hello there")]).probabilities[0][0] for v in (heavy, light))
    assert p_light > p_heavy


def test_prepare_chooses_from_the_grid_and_predicts_every_row_it_can(trainer):
    real = [*data(7), talk("lonely", "do you rent tents", "hire")]
    trainer.prepare(real)
    found = trainer.cross_validation
    assert trainer.strength == found.strength and found.strength in found.scores
    assert found.predicted[-1] is None and None not in found.predicted[:-1]
    assert found.accuracy > 0.9
    assert f"C={found.strength:g}" in trainer.identity


def test_folds_spread_every_topic():
    labels = np.array(["a"] * 10 + ["b"] * 3)
    folds = folds_by_topic(labels, 5, seed=1)
    assert np.bincount(folds[:10]).tolist() == [2] * 5
    assert len(set(folds[10:].tolist())) == 3


def test_a_variant_of_another_encoder_is_refused(trainer, tmp_path):
    trainer.fit(mixed(data(4))).save(tmp_path)
    facts = (tmp_path / "variant.json").read_text()
    (tmp_path / "variant.json").write_text(facts.replace("lexical", "other"))
    with pytest.raises(TrainingError, match="was trained with the encoder"):
        trainer.load(tmp_path)


def test_a_damaged_variant_is_named(trainer, tmp_path):
    trainer.fit(mixed(data(4))).save(tmp_path)
    (tmp_path / "head.npz").write_bytes(b"half")
    with pytest.raises(TrainingError, match="damaged"):
        trainer.load(tmp_path)


class Counting(HeadTrainer):
    """A head that counts its fits."""

    fits = 0

    def fit(self, mixture):
        type(self).fits += 1
        return super().fit(mixture)


@pytest.fixture
def counting(embedder):
    Counting.fits = 0
    Counting.uses_seed = False
    return Counting(embedder)


TOPICS = ["parcel", "refund", "size"]


def fit(mixtures, trainer, folder, **more):
    return fit_all(mixtures, trainer, data(2), TOPICS, folder, progress=Silent(), **more)


def test_equal_mixtures_are_trained_once_and_finished_ones_never_again(counting, tmp_path):
    real = data(5)
    mixtures = [mixed(real), mixed(list(reversed(real)), seed=1), mixed(real[:-1])]
    first = fit(mixtures, counting, tmp_path, jobs=2)
    assert counting.fits == 2 and first[0].key == first[1].key != first[2].key
    again = fit(mixtures, counting, tmp_path)
    assert counting.fits == 2
    assert [o.predicted.tolist() for o in again] == [o.predicted.tolist() for o in first]


def test_a_trainer_that_uses_the_seed_is_run_for_each(counting, tmp_path):
    Counting.uses_seed = True
    fit([mixed(data(3)), mixed(data(3), seed=1)], counting, tmp_path)
    assert counting.fits == 2


def test_a_half_written_variant_is_trained_again(counting, tmp_path):
    key = fit([mixed(data(3))], counting, tmp_path)[0].key
    (tmp_path / key / "predictions.npz").write_bytes(b"PK\x03\x04half")
    fit([mixed(data(3))], counting, tmp_path)
    assert counting.fits == 2


def test_a_failing_arm_keeps_the_finished_ones(counting, tmp_path):
    with pytest.raises(TrainingError):
        fit([mixed(data(3)), mixed([])], counting, tmp_path)
    assert len(list(tmp_path.glob("*/predictions.npz"))) == 1


def test_jobs_do_not_change_the_result(embedder, tmp_path):
    mixtures = [mixed(data(n)) for n in range(2, 7)]
    one = fit(mixtures, HeadTrainer(embedder), tmp_path / "1", jobs=1)
    two = fit(mixtures, HeadTrainer(embedder), tmp_path / "2", jobs=2)
    assert all(np.array_equal(a.probability, b.probability) for a, b in zip(one, two, strict=True))


def test_an_arm_result_stacks_its_seeds(counting, tmp_path):
    mixtures = [mixed(data(3)), mixed(data(3), seed=1)]
    arm = arm_result(mixtures, fit(mixtures, counting, tmp_path))
    assert arm.predicted.shape == (2, 6) and arm.seeds == (0, 1) and arm.n_real == 9


def test_trainers_are_found_by_name(embedder):
    assert isinstance(make_trainer("head", embedder), Trainer)
    with pytest.raises(UsageError, match="unknown trainer"):
        make_trainer("forest", embedder)
    with pytest.raises(UsageError, match="cannot be loaded"):
        make_trainer("no_such_module:Thing", embedder)
    with pytest.raises(TrainingError, match="contract"):
        make_trainer("collections:Counter", embedder)


def test_the_temperature_makes_held_out_probabilities_honest(trainer):
    cold = trainer.fit(mixed(data(8))).predict([talk("q", "my parcel is late")])
    trainer.prepare(data(8))
    trainer.strength = 10.0
    assert trainer.temperature < 1
    warm = trainer.fit(mixed(data(8))).predict([talk("q", "my parcel is late")])
    assert warm.best == cold.best and warm.confidence[0] > cold.confidence[0]
