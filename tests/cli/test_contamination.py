import json

import numpy as np
import pytest

OWN, OTHER = "openai:gpt-4.1", "anthropic:claude-haiku-4-5"


@pytest.fixture
def judged(tmp_path):
    """A run folder whose candidates two judges scored; `bonus` goes to what the first one's family wrote."""

    def make(bonus, n=60, writers=("gpt-4o", "Qwen2.5-32B")):
        rng = np.random.default_rng(0)
        stage = tmp_path / "run" / "verify"
        stage.mkdir(parents=True, exist_ok=True)
        rows, said = [], []
        for k in range(n):
            writer = writers[k % len(writers)]
            turns = [{"role": "user", "content": f"text {k}"}]
            meta = {"generator": writer}
            rows.append({"id": f"c{k}", "messages": turns, "topic": "a", "source": "synthetic", "meta": meta})
            good = int(rng.integers(2, 5))
            for judge, score in ((OWN, good + bonus * (writer == "gpt-4o")), (OTHER, good)):
                said.append({"id": f"c{k}", "judge": judge, "state": "scored", "scores": {"on_topic": min(5, score)}})
        said.append({"id": "c0", "judge": OTHER, "state": "malformed", "scores": {}})
        (stage / "passed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (stage / "rejected.jsonl").write_text("")
        (stage / "judgements.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
        return tmp_path / "run"

    return make


def test_a_judge_that_favours_its_own_is_found(posology, judged):
    run = judged(1)
    found = posology("contamination", run, "--json").json
    assert (found["judge"], found["against"], found["verdict"]) == (OWN, OTHER, "self-preference")
    assert found["ci95"][0] > 0.5
    assert (found["n_own"], found["n_other"]) == (30, 30)
    done = posology("contamination", run)
    assert "self-preference" in done.out
    assert "judge with another family" in done.out


def test_a_fair_judge_is_not_accused(posology, judged):
    assert posology("contamination", judged(0), "--json").json["verdict"] == "none found"


def test_human_labels_hold_quality_constant(posology, judged, tmp_path):
    run = judged(1)
    labels = [{"id": f"c{k}", "good": k % 3 > 0} for k in range(60)]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    found = posology("contamination", run, "--labels", tmp_path / "labels.jsonl", "--json").json
    assert (found["controlled"], found["verdict"]) == ("quality", "self-preference")


def test_what_does_not_follow_is_asked_for(posology, judged, tmp_path):
    alone = judged(0, writers=("Qwen2.5-32B",))
    done = posology("contamination", alone)
    assert done.code == 2
    assert "--against" in done.err
    assert "no judge is called" in posology("contamination", alone, "--judge", "nobody").err
    assert posology("contamination", tmp_path / "nothing").code == 2
    told = posology("contamination", alone, "--judge", OWN, "--against", OTHER, "--json").json
    assert told["verdict"] == "cannot tell"
