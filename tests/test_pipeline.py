"""One run folder used again with something changed gives what a fresh folder gives."""

import json
import random
from dataclasses import replace

import pytest

from posology.config import load
from posology.conversations.writing import write
from posology.errors import InputError, StoreError, TrainingError, UsageError
from posology.exporting import export_run
from posology.pipeline import Pipeline
from support import talk

TOPICS = {"parcel": "where is my parcel", "refund": "i want my money back", "size": "these boots are too small"}
SYLLABLES = "ba ke li mo nu ra se ti vo zu pe ga dri sto fla".split()


def rows(prefix, n, source="real", topics=TOPICS):
    rng = random.Random(prefix)
    return [
        talk(
            f"{prefix}{t}{i}", f"{text} " + " ".join("".join(rng.choices(SYLLABLES, k=3)) for _ in range(6)), t, source
        )
        for t, text in topics.items()
        for i in range(n)
    ]


@pytest.fixture
def files(tmp_path):
    write(rows("r", 24), tmp_path / "real.jsonl")
    write(rows("s", 12, "synthetic"), tmp_path / "pool.jsonl")
    write(rows("h", 15), tmp_path / "holdout.jsonl")
    write(rows("t", 10), tmp_path / "traffic.jsonl")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Parcels\nTopic: parcel\n\nText.\n")
    return tmp_path


def settings(files, out, **changes):
    base = {
        "data.real": files / "real.jsonl",
        "data.synthetic": files / "pool.jsonl",
        "data.holdout": files / "holdout.jsonl",
        "data.docs": files / "docs",
        "embedding.encoder": "lexical",
        "mix.doses": "0,0.2",
        "sweep.seeds": 2,
        "sweep.bootstrap": 400,
        "out": files / out,
    }
    return load(None, base | changes)


def sweep(files, out, **changes):
    with Pipeline(settings(files, out, **changes)) as pipeline:
        return pipeline.sweep()


class First:
    """A trainer of one's own: the first topic of the mixture, by its name or its number of rows."""

    identity = "first/1"
    uses_seed = False

    def prepare(self, real):
        pass

    def fit(self, mixture):
        return Always(min(c.label for c in mixture.conversations))

    def load(self, folder):
        return Always((folder / "topic").read_text())


class Last(First):
    identity = "last/1"

    def fit(self, mixture):
        return Always(max(c.label for c in mixture.conversations))


class Always:
    def __init__(self, topic):
        self.topic = topic

    def predict(self, conversations):
        import numpy as np

        from posology.records import Predictions

        assert all(c.topic is None and not c.meta for c in conversations), "labels must not be shown"
        return Predictions((self.topic,), np.ones((len(conversations), 1), np.float32))

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "topic").write_text(self.topic)


def add_topic(files):
    write(rows("s", 12, "synthetic") + rows("n", 9, "synthetic", {"aaa": "a new thing"}), files / "pool.jsonl")


def fewer_rows(files):
    write(rows("r", 20), files / "real.jsonl")


def other_holdout(files):
    write(rows("k", 12), files / "holdout.jsonl")


def more_docs(files):
    (files / "docs" / "b.md").write_text("# Gifts\nTopic: gift\n\nText.\n")


CHANGES = {
    "pool with a topic that sorts first": (add_topic, {}),
    "real data": (fewer_rows, {}),
    "holdout": (other_holdout, {}),
    "docs": (more_docs, {}),
    "doses": (None, {"mix.doses": "0,0.3"}),
    "design": (None, {"mix.design": "replace"}),
    "weight": (None, {"mix.synthetic_weight": 1.0}),
    "seeds": (None, {"sweep.seeds": 3}),
    "text rule": (None, {"text.max_turns": 1}),
    "tail": (None, {"gaps.tail_max_real": 30}),
    "margin": (None, {"sweep.margin": 0.3}),
    "no holdout": (None, {"data.holdout": None, "split.holdout_size": 20}),
    "trainer": (None, {"sweep.trainer": "test_pipeline:First"}),
    "jobs": (None, {"sweep.jobs": 1}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_input_or_setting_gives_what_a_fresh_folder_gives(files, case, monkeypatch):
    monkeypatch.syspath_prepend(str(__import__("pathlib").Path(__file__).parent))
    change, more = CHANGES[case]
    before = sweep(files, "used")
    if change:
        change(files)
    changes = {key: value for key, value in more.items() if value is not None}
    if "data.holdout" in more:
        base = settings(files, "used")
        for out in ("used", "fresh"):
            data = base.data.model_copy(update={"holdout": None})
            config = base.model_copy(
                update={"data": data, "out": files / out, "split": base.split.model_copy(update={"holdout_size": 20})}
            )
            with Pipeline(config) as pipeline:
                result = pipeline.sweep()
            if out == "used":
                again = result
        assert again == result
        return
    again = sweep(files, "used", **changes)
    assert again == sweep(files, "fresh", **changes)
    assert (again == before) == (case == "jobs")


def test_two_trainers_of_ones_own_do_not_share_results(files):
    results = []
    for trainer in (First(), Last(), First()):
        with Pipeline(settings(files, "used"), trainer=trainer) as pipeline:
            results.append(pipeline.sweep())
    assert results[0] == results[2] != results[1]
    assert results[0]["trainer"].endswith(":First")


def test_going_back_to_a_smaller_pool_is_no_trouble(files):
    first = sweep(files, "used")
    add_topic(files)
    sweep(files, "used")
    write(rows("s", 12, "synthetic"), files / "pool.jsonl")
    assert sweep(files, "used") == first


def test_gaps_with_their_own_budget_stay_what_they_are(files):
    with Pipeline(settings(files, "run", **{"gaps.budget": 7})) as pipeline:
        assert sum(row["want"] for row in pipeline.gaps["topics"]) == 7
    sweep(files, "run")
    found = json.loads((files / "run" / "gaps" / "gaps.json").read_text())
    assert sum(row["want"] for row in found["topics"]) == 7


def test_gaps_and_split_need_no_pool(files):
    (files / "pool.jsonl").unlink()
    with Pipeline(settings(files, "run")) as pipeline:
        assert pipeline.gaps["topics"] and pipeline.parts.holdout


def test_an_export_of_a_folder_that_changed_since_the_sweep_is_refused(files):
    sweep(files, "run")
    folder, facts = export_run(files / "run", 0.2, "openai", None)
    assert facts["n_synthetic"] == 18 and (folder / "train.jsonl").is_file()
    fewer_rows(files)
    with Pipeline(settings(files, "run")) as pipeline, pytest.raises(UsageError, match="was run on"):
        assert pipeline.parts
    with Pipeline(settings(files, "run")) as pipeline:
        pipeline.may_split_again = True
        assert pipeline.parts
    with pytest.raises(StoreError, match="not what the sweep was run on"):
        export_run(files / "run", 0.2, "openai", None)


def test_mix_and_export_hold_the_same_rows_every_time(files):
    sweep(files, "run")
    for name in ("one", "two"):
        with Pipeline(settings(files, "run")) as pipeline:
            pipeline.mix(0.2, files / name, "openai")
    export_run(files / "run", 0.2, "openai", files / "three")
    texts = {(files / name / "train.jsonl").read_bytes() for name in ("one", "two", "three")}
    assert len(texts) == 1


@pytest.mark.parametrize("name", ["real", "holdout"])
def test_synthetic_rows_are_refused_as_real_ones(files, name):
    wrong = rows("x", 12)
    write([*wrong[:-1], replace(wrong[-1], source="synthetic")], files / f"{name}.jsonl")
    with pytest.raises(InputError, match="say that they are synthetic"):
        sweep(files, "run")


def test_a_pool_is_synthetic_whatever_its_rows_say_and_its_ids_stay_apart(files):
    pool = [replace(c, source="real", id=c.id.replace("s", "r", 1)) for c in rows("s", 12, "synthetic")]
    write(pool, files / "pool.jsonl")
    with Pipeline(settings(files, "run")) as pipeline:
        ranked = pipeline.ranked
    assert {c.source for c in ranked} == {"synthetic"}
    assert not {c.id for c in ranked} & {c.id for c in pipeline.parts.train}


def test_one_word_edits_of_the_holdout_do_not_get_through_unseen(files):
    edited = [talk(f"e{c.id}", c.messages[0].content.replace("my", "our"), c.topic, "synthetic") for c in rows("h", 15)]
    write([*rows("s", 12, "synthetic"), *edited], files / "pool.jsonl")
    result = sweep(files, "run")
    assert result["rejected"].get("leaked_near", 0) >= 0.9 * sum("my" in c.messages[0].content for c in rows("h", 15))


def test_a_short_pool_is_said(files):
    result = sweep(files, "run", **{"mix.doses": "0,0.9"})
    assert any("short of dose 0.9" in warning for warning in result["warnings"])


def test_a_rule_that_leaves_no_text_is_said(files):
    with pytest.raises(InputError, match="no text in turns of system"):
        sweep(files, "run", **{"text.roles": ("system",)})


def test_topics_that_are_customers_words_are_not_repeated(files):
    secret = "My name is Jane and my card is 4111"
    write([replace(c, topic=secret) for c in rows("r", 24)], files / "real.jsonl")
    with pytest.raises(InputError, match="one topic") as caught:
        sweep(files, "run")
    assert "Jane" not in str(caught.value)


def test_what_a_foreign_trainer_raises_is_told_without_its_words(files):
    class Broken(First):
        def fit(self, mixture):
            raise RuntimeError(mixture.real[0].messages[0].content)

    with (
        pytest.raises(TrainingError, match=r"failed on dose .* with RuntimeError") as caught,
        Pipeline(settings(files, "run"), trainer=Broken()) as pipeline,
    ):
        pipeline.sweep()
    assert "parcel" not in str(caught.value)


def test_adaptive_with_a_tiny_pool_tries_what_there_is(files):
    write(rows("s", 1, "synthetic"), files / "pool.jsonl")
    result = sweep(files, "run", **{"sweep.adaptive": 4})
    assert {arm["n_synthetic"] for arm in result["arms"]} == {0, 3}
