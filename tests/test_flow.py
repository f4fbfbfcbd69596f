"""Generation, sweep and report as one flow: from a configuration, from Python, from the command line."""

import json
from pathlib import Path

import pytest

import posology
from posology import flow
from posology.config import load
from posology.pipeline import Pipeline
from posology.report import costs
from shop_files import write_shop

SCRIPT = """
import json
WORDS = "amber birch cedar delta ember fjord grove heath inlet jetty knoll larch maple north ocean pearl quartz".split()

def reply(request, random):
    a, b, c = random.choice(WORDS, 3, replace=False)
    return json.dumps({"message": f"please help me with the {a} {b} order from the {c} shop, thank you"})
"""


@pytest.fixture
def shop(tmp_path):
    write_shop(tmp_path)
    (tmp_path / "writer.py").write_text(SCRIPT)
    return tmp_path


def config(shop, **more):
    given = {
        "data.real": shop / "real.jsonl",
        "data.holdout": shop / "holdout.jsonl",
        "data.docs": shop / "docs",
        "embedding.encoder": "lexical",
        "generate.model": f"scripted:{shop / 'writer.py'}:reply",
        "generate.mode": "message",
        "generate.count": 9,
        "sweep.learning_curve": False,
        "prices": {"reply": {"input": 1, "output": 2, "call": 0.25}},
        "out": shop / "run",
    }
    return load(None, given | more)


def test_without_a_pool_one_is_generated_and_swept(shop):
    with Pipeline(config(shop)) as pipeline:
        result = flow.run(pipeline)
    assert result["generated"]["n_candidates"] > 0
    arms = [arm for arm in result["arms"] if arm["dose"] == 0.1 and arm["kind"] == "selected"]
    assert arms[0]["n_synthetic"] > 0
    assert "Generation and its cost" in Path(result["report"]).read_text()


def test_a_second_flow_sends_and_trains_nothing(shop):
    with Pipeline(config(shop)) as pipeline:
        first = flow.run(pipeline)
    trained = (shop / "run/sweep/variants.json").stat().st_mtime_ns
    with Pipeline(config(shop)) as pipeline:
        again = flow.run(pipeline)
    assert again["generated"]["sent"] == 0 and again["arms"] == first["arms"]
    assert (shop / "run/sweep/variants.json").stat().st_mtime_ns == trained


def test_a_given_pool_is_swept_and_nothing_generated(shop):
    pool = shop / "pool.jsonl"
    pool.write_text(
        json.dumps({"id": "s", "messages": [{"role": "user", "content": "my parcel is lost"}], "topic": "parcel"})
    )
    with Pipeline(config(shop, **{"data.synthetic": pool})) as pipeline:
        result = flow.run(pipeline)
    assert result["generated"] is None and not (shop / "run/generate").exists()


def test_from_python_a_generation_and_the_sweep_of_its_candidates(shop):
    settings = {
        "embedding.encoder": "lexical",
        "prices": {"reply": {"input": 0, "output": 0, "call": 0.25}},
        "sweep.learning_curve": False,
    }
    made = posology.generate(
        shop / "real.jsonl",
        holdout=shop / "holdout.jsonl",
        docs=shop / "docs",
        model=f"scripted:{shop / 'writer.py'}:reply",
        mode="message",
        count=9,
        out=shop / "run",
        settings=settings,
    )
    assert made.data["n_plan"] == 9 and len(made.candidates) == made.data["n_candidates"] > 0
    assert {c.source for c in made.candidates} == {"synthetic"}
    result = posology.sweep(
        shop / "real.jsonl", holdout=shop / "holdout.jsonl", doses=[0.1], seeds=1, out=shop / "run", settings=settings
    )
    assert [arm["n_synthetic"] for arm in result.arms][-1] > 0


def test_costs_leave_out_what_is_damaged():
    good = {"stage": "generate", "provider": "local m abc", "model": "m", "calls": 3, "cost": 0.5}
    rows = costs.rows({"generate": {"totals": [good, {"stage": 1}, "no"]}, "split": {}, "verify": {"totals": "x"}})
    assert [(row.model, row.cost, row.place) for row in rows] == [("m", 0.5, "local m")]
    assert costs.total(rows) == 0.5
    assert costs.total([*rows, rows[0].model_copy(update={"cost": None})]) is None
    assert costs.generated({"generate": {"n_plan": "many"}}) is None
