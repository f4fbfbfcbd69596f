import json
import random
import subprocess
import sys

import pytest

import posology
from posology.errors import InputError
from posology.records import Predictions
from support import talk

TOPICS = {"parcel": "where is my parcel", "refund": "i want my money back", "size": "these boots are too small"}


SYLLABLES = "ba ke li mo nu ra se ti vo zu pe ga dri sto fla".split()


def rows(prefix, n, source="real"):
    """n conversations a topic, no two of them near duplicates."""
    rng = random.Random(prefix)
    return [
        talk(
            f"{prefix}{t}{i}", f"{text} " + " ".join("".join(rng.choices(SYLLABLES, k=3)) for _ in range(8)), t, source
        )
        for t, text in TOPICS.items()
        for i in range(n)
    ]


LEXICAL = {"embedding.encoder": "lexical", "sweep.learning_curve": False}


class Oracle:
    """A trainer that has seen the answers once half of its data is synthetic; else it says the first topic."""

    identity = "oracle/1"
    uses_seed = True
    prepared = 0

    def prepare(self, real):
        self.prepared += 1

    def fit(self, mixture):
        return Knows(len(mixture.synthetic) >= len(mixture.real) / 2)

    def load(self, folder):
        return Knows(json.loads((folder / "knows.json").read_text()))


class Knows:
    def __init__(self, knows):
        self.knows = knows

    def predict(self, conversations):
        import numpy as np

        topics = tuple(TOPICS)
        texts = [c.messages[0].content for c in conversations]
        best = [next(i for i, t in enumerate(topics) if TOPICS[t] in x) if self.knows else 0 for x in texts]
        return Predictions(topics, np.eye(3, dtype=np.float32)[best])

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "knows.json").write_text(json.dumps(self.knows))


def test_a_sweep_from_memory_with_a_trainer_of_ones_own(tmp_path):
    trainer = Oracle()
    result = posology.sweep(
        rows("r", 20),
        rows("s", 30, "synthetic"),
        rows("h", 40),
        doses=[0.1, 0.5],
        seeds=2,
        trainer=trainer,
        out=tmp_path / "run",
        settings=LEXICAL,
    )
    assert trainer.prepared == 1
    assert (result.status, result.dose) == ("better", 0.5)
    assert result.arms[0]["accuracy"]["mean"] == pytest.approx(1 / 3)
    assert result.report().is_file()
    again = posology.sweep(
        rows("r", 20),
        rows("s", 30, "synthetic"),
        rows("h", 40),
        doses=[0.1, 0.5],
        seeds=2,
        trainer=Oracle(),
        out=tmp_path / "run",
        settings=LEXICAL,
    )
    assert again.data == result.data


@pytest.mark.parametrize("pool", ["copies", "shuffled", "empty"])
def test_a_worthless_pool_is_never_better(tmp_path, pool):
    real, holdout = rows("r", 20), rows("h", 30)
    topics = list(TOPICS)
    pools = {
        "copies": [talk(f"c{c.id}", c.messages[0].content, c.topic, "synthetic") for c in real],
        "shuffled": [
            talk(c.id, c.messages[0].content, topics[(i * 7) % 3], "synthetic")
            for i, c in enumerate(rows("s", 30, "synthetic"))
        ],
        "empty": [],
    }
    result = posology.sweep(real, pools[pool], holdout, doses="0.3,0.5", seeds=2, out=tmp_path, settings=LEXICAL)
    assert result.status != "better" and result.dose == 0
    if pool == "empty":
        assert any("pool is empty" in warning for warning in result.data["warnings"])
    if pool == "copies":
        assert result.data["rejected"] == {"verbatim_span": 60}, "a real customer's words, to the last"
        assert any("pool is empty" in warning for warning in result.data["warnings"])


def test_adaptive_spends_no_more_doses_than_asked(tmp_path):
    result = posology.sweep(
        rows("r", 20),
        rows("s", 20, "synthetic"),
        rows("h", 30),
        seeds=1,
        out=tmp_path,
        settings={**LEXICAL, "sweep.adaptive": 4},
    )
    doses = {arm["dose"] for arm in result.arms if arm["kind"] == "selected" and arm["dose"] > 0}
    assert 1 <= len(doses) <= 4 and max(doses) <= 0.5


def test_a_pool_is_verified_and_selected_from_memory(tmp_path):
    pool = rows("s", 14, "synthetic")
    holdout = rows("h", 12)
    pool[0] = talk(pool[0].id, holdout[0].messages[0].content, "parcel", "synthetic")
    found = posology.verify(rows("r", 30), pool, holdout, out=tmp_path, settings=LEXICAL)
    assert len(found.verdicts) == len(pool) and found.verdicts[0].reasons[0] == "leaked_exact"
    assert [c.id for c in found.passed] == [v.id for v in found.verdicts if v.passed]
    assert found.data["n_passed"] == len(found.passed) > 30 and found.data["judging"] is None
    chosen = posology.select(out=tmp_path, count=9, settings={"mix.synthetic_weight": 0.6})
    assert [c.meta["rank"] for c in chosen.selected] == list(range(1, 10)) and chosen.data["n_selected"] == 9
    assert {c.id for c in chosen.selected} <= {c.id for c in found.passed}


def test_judges_from_python(tmp_path):
    script = tmp_path / "judge.py"
    script.write_text(
        "import json, re\n"
        "def judge(request, rng):\n"
        '    names = re.findall(r\'"(\\w+)": \\{"reason"\', request.messages[0][1])\n'
        "    score = 2 if 'money' in request.messages[-1][1] else 4\n"
        "    return json.dumps({name: {'reason': 'r', 'score': score} for name in names} or {'answer': 'both'})\n"
    )
    judge = f"scripted:{script}:judge"
    settings = {**LEXICAL, "verify.families": {judge: "own"}, "verify.order_sample": 0}
    real = rows("r", 30)
    found = posology.verify(
        real,
        rows("s", 6, "synthetic"),
        rows("h", 12),
        judges=[judge],
        generator="local:",
        out=tmp_path,
        settings=settings,
    )
    (about,) = found.data["judging"]["judges"]
    asked = found.data["judging"]["questions"]["topic"]["asked"]
    assert about["calls"] == about["states"]["scored"] + asked == found.data["totals"][0]["calls"]
    assert found.data["rejected"]["judge_on_topic"] > 0 and all(c.topic != "refund" for c in found.passed)
    with pytest.raises(posology.PosologyError, match="not known which model wrote"):
        pool, other = rows("t", 6, "synthetic"), tmp_path / "other"
        posology.verify(real, pool, rows("h", 12), judges=[judge], out=other, settings=settings)


def test_any_two_sets_can_be_audited(tmp_path):
    test = rows("h", 12)
    train = [*rows("r", 20), talk("copy", test[3].messages[0].content.upper(), "refund")]
    found = posology.leakage(train, test, vectors=False)
    assert [(r.id, r.reason, r.other_id) for r in found.rejections] == [("copy", "leaked_exact", test[3].id)]
    posology.write(test, tmp_path / "test.jsonl")
    again = posology.leakage(train, tmp_path / "test.jsonl", baseline=rows("b", 20), settings=LEXICAL)
    assert again.to_json()["leaked"]["leaked_exact"] == 1 and again.baseline == 60
    with pytest.raises(posology.PosologyError, match="same file"):
        posology.leakage(test, test, vectors=False)


def test_rows_may_be_dicts_and_other_things_are_refused_by_name(tmp_path):
    def dicts(prefix, n):
        return [
            {"id": c.id, "messages": [{"role": "user", "content": c.messages[0].content}], "topic": c.topic}
            for c in rows(prefix, n)
        ]

    audit = posology.leakage([*dicts("r", 4), dicts("h", 2)[0]], dicts("h", 2), vectors=False)
    assert audit.to_json()["leaked"]["leaked_exact"] == 1
    found = posology.verify(dicts("r", 30), dicts("s", 8), dicts("h", 12), out=tmp_path / "run", settings=LEXICAL)
    assert len(found.verdicts) == 24
    for wrong, named in ((7, "not int"), ([7], "not int"), (iter([]), "not list_iterator"), ([], "holds no")):
        with pytest.raises(InputError, match=f"`suspect`.*{named}"):
            posology.leakage(wrong, dicts("h", 2))
    with pytest.raises(InputError, match="cannot be written as JSON"):
        posology.leakage([{"messages": {1, 2}}], dicts("h", 2))


def test_selecting_from_a_folder_that_is_not_there_makes_none(tmp_path):
    with pytest.raises(posology.PosologyError, match="no run folder") as error:
        posology.select(out=tmp_path / "missing")
    assert error.value.exit_code == 2 and not list(tmp_path.iterdir())


def test_the_public_names_are_there_and_others_are_not():
    assert {name for name in posology.__all__ if getattr(posology, name) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'sweeep'"):
        posology.sweeep  # noqa: B018


def test_the_module_is_a_command():
    done = subprocess.run([sys.executable, "-m", "posology", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"posology {posology.__version__}"
