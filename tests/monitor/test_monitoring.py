import json
import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from monitor_support import customers, said, swept, traffic_file
from posology import monitoring
from posology.config import Data
from posology.errors import ExtraMissing, InputError, StoreError, UsageError
from posology.monitor import great, webhook
from posology.monitor.checks import NAMES
from posology.monitoring import begin, check, history
from posology.weekly import LOSS, compare
from support import talk


def verdicts(result):
    return {one["name"]: one["verdict"] for one in result["checks"]}


def week(begun, run, name="week", day="2026-03-02", **more):
    return check(run, Data(traffic=begun / f"{name}.jsonl"), day=date.fromisoformat(day), **more)


def test_a_healthy_week_and_the_same_again(begun, run, monkeypatch):
    import great_expectations as gx

    opened, open_context = [], gx.get_context
    monkeypatch.setattr(gx, "get_context", lambda **given: opened.append(given) or open_context(**given))
    result = week(begun, run)
    assert len(opened) == 1  # it takes a while, and serves all checkpoints
    assert not result["drifted"]
    assert list(verdicts(result)) == ["rows", *NAMES, LOSS] and set(verdicts(result).values()) == {"ok"}
    for one in result["checks"]:
        assert set(one) == {"name", "value", "threshold", "p_value", "verdict", "note"}
        assert one["value"] <= one["threshold"]
    assert result["holdout"]["difference"] == 0 and result["holdout"]["n"] == 60
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    again = week(begun, run)
    assert again["checks"] == result["checks"]
    assert len(history(run)["batches"]) == 1
    pages = list(Path(result["data_docs"]).parent.glob("validations/traffic/**/*.html"))
    assert len(pages) == 1
    assert pq.read_table(run / "monitor" / "history.parquet").num_rows == len(result["checks"])


def test_drift_is_named_and_great_expectations_says_the_same(begun, run):
    result = week(begun, run, "drift")
    assert result["drifted"] and verdicts(result)["topic_share"] == "drift"
    share = next(one for one in result["checks"] if one["name"] == "topic_share")
    assert share["value"] > share["threshold"] and share["p_value"] <= 0.02
    assert "gift" in share["note"] and "%" in share["note"]
    (file,) = (run / "monitor" / "gx" / "uncommitted" / "validations" / "traffic").glob("**/*.json")
    kept = json.loads(file.read_text(encoding="utf-8"))["results"]
    told = {one["expectation_config"]["kwargs"].get("check"): one["success"] for one in kept}
    del told[None]
    assert {name: "ok" if good else "drift" for name, good in told.items()} == {n: verdicts(result)[n] for n in NAMES}


def test_pages_link_to_each_other_and_need_no_network(begun, run):
    result = week(begun, run)
    page, docs = Path(result["page"]), Path(result["data_docs"])
    report = run / "report" / "report.html"
    pages = [page, docs, report, *docs.parent.glob("validations/**/*.html"), *docs.parent.glob("expectations/*.html")]
    assert len(pages) >= 8
    for file in pages:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(src|href)=\"https?:|url\(.?https?:|<script", text), file
        for link in re.findall(r"href=\"([^\"#?]+)", text):
            target = file.parent / link.replace("%20", " ")
            assert target.is_file(), (file, link)
    places = {file: file.read_text(encoding="utf-8") for file in (page, docs, report)}
    assert 'href="../monitor/index.html"' in places[report]
    assert "data_docs/local_site/index.html" in places[page] and "../report/report.html" in places[page]
    assert "../../../../index.html" in places[docs] and "report/report.html" in places[docs]


def test_no_customers_words_are_kept(begun, run):
    week(begun, run, "drift")
    words = [c.messages[0].content for c in customers(60, 102, shares=(0.1, 0.1, 0.8))]
    for file in (run / "monitor").rglob("*"):
        if file.is_file() and file.suffix in (".html", ".json", ".parquet", ".npz"):
            content = file.read_bytes()
            assert not any(said.encode() in content for said in words), file


def test_one_row_is_too_few_and_none_is_an_error(begun, run, quick, tmp_path):
    one = traffic_file(tmp_path / "one.jsonl", customers(1, 3))
    result = check(run, Data(traffic=one), day=date(2026, 3, 2))
    assert not result["drifted"] and "too few" in result["warnings"][0]
    assert {v for n, v in verdicts(result).items() if n != LOSS} == {"unscored"} and verdicts(result)[LOSS] == "ok"
    empty = tmp_path / "none.jsonl"
    empty.write_text("")
    with pytest.raises(InputError, match="is empty"):
        check(run, Data(traffic=empty))
    with pytest.raises(UsageError, match="--traffic"):
        check(run, Data())


def test_topics_never_seen_and_odd_rows_fail_the_suite(begun, run, tmp_path):
    rows = customers(60, 101)
    rows[3] = talk("new", "a thing nobody asked before", "warranty")
    result = check(run, Data(traffic=traffic_file(tmp_path / "t.jsonl", rows, labelled=True)), day=date(2026, 3, 2))
    found = next(one for one in result["checks"] if one["name"] == "rows")
    assert (found["verdict"], found["value"]) == ("drift", 1)
    assert found["note"] == "topics never seen: 'warranty'"


def test_nothing_that_a_user_gives_is_code_on_a_page(begun, run, tmp_path):
    evil = "<svg onload=alert(1)>"
    rows = [talk(f"{evil}{i}", c.messages[0].content, evil) for i, c in enumerate(customers(60, 101))]
    file = traffic_file(tmp_path / "t.jsonl", rows, labelled=True)
    assert verdicts(check(run, Data(traffic=file), day=date(2026, 3, 2)))["rows"] == "drift"
    pages = list((run / "monitor").rglob("*.html"))
    texts = [page.read_text(encoding="utf-8") for page in pages]
    assert not any("<svg onload" in text for text in texts)
    assert any("&lt;svg" in text for text in texts)
    docs = [text for page, text in zip(pages, texts, strict=True) if "gx" in page.parts]
    assert len(docs) >= 5 and all(re.search("<head[^>]*><meta http-equiv=.Content-Security-Policy", t) for t in docs)


def test_a_known_topic_with_marks_of_html_is_known(tmp_path):
    import pandas as pd

    expectations = great.Expectations(tmp_path)
    names = ["gift & card", "a < b", "it's"]
    expectations.write(great.Rules(tuple(names), ("en", ""), 10), {"traffic": ("topic_psi",)})
    rows = {"id": list("abcd"), "topic": [*names, None], "predicted": [*names, "x"], "roles": ["user"] * 4}
    frame = pd.DataFrame({**rows, "words": [3] * 4, "language": ["en"] * 4})
    seen = []
    found = expectations.validate(
        "traffic",
        frame,
        lambda batch: {"topic_psi": seen.append(batch.predicted.tolist()) or 0.0},
        {"topic_psi": 1.0, "rows_kept": 1.0, "language_kept": 1.0},
        name="t",
        day=date(2026, 3, 2),
    )
    assert found.failed == () and seen == [[*names, "x"]]


def test_a_run_that_is_not_there_is_not_made(begun, tmp_path):
    with pytest.raises(UsageError, match="no finished sweep"):
        check(tmp_path / "typo", Data(traffic=begun / "week.jsonl"))
    with pytest.raises(UsageError, match="no finished sweep"):
        begin(tmp_path / "typo", Data(traffic=begun / "reference.jsonl"))
    assert not (tmp_path / "typo").exists()


def test_more_rows_than_the_reference_can_judge_are_sampled(begun, run, quick, tmp_path):
    many = traffic_file(tmp_path / "many.jsonl", customers(250, 5))
    result = check(run, Data(traffic=many), day=date(2026, 3, 2))
    assert result["judged"] == 200 and result["batch"]["n"] == 250
    assert "200 of 250" in result["warnings"][0]
    assert (run / "monitor" / "baseline" / "traffic-200.npz").is_file()


def test_another_holdout_is_refused(begun, run, quick, tmp_path):
    other = traffic_file(tmp_path / "h.jsonl", customers(60, 77), labelled=True)
    with pytest.raises(InputError, match="holdout has changed"):
        check(run, Data(traffic=begun / "week.jsonl", holdout=other))
    held = run / "split" / "holdout.jsonl"
    copy = tmp_path / "copy.jsonl"
    shutil.copy(held, copy)
    assert not check(run, Data(traffic=begun / "week.jsonl", holdout=copy))["drifted"]
    held.write_text("\n".join(held.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="holdout has changed"):
        check(run, Data(traffic=begun / "week.jsonl"))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("encoder", "encoder 'other'"),
        ("text_rule", "text rule"),
        ("training", "training data"),
        ("learned", "trained on"),
    ],
)
def test_a_baseline_that_was_made_otherwise_is_refused(begun, run, quick, key, said):
    place = run / "monitor" / "baseline" / "baseline.json"
    facts = json.loads(place.read_text(encoding="utf-8"))
    facts["identity"][key] = "other"
    place.write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(StoreError, match=said):
        week(begun, run)
    place.write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match="damaged"):
        week(begun, run)
    place.unlink()
    with pytest.raises(UsageError, match="no baseline"):
        week(begun, run)


def test_a_worse_variant_is_found_on_the_holdout(begun, run, quick, tmp_path):
    index = json.loads((run / "sweep" / "variants.json").read_text(encoding="utf-8"))["variants"]
    worse = tmp_path / "worse"
    shutil.copytree(run / "sweep" / "variants" / index[0]["variant"], worse)
    variant = json.loads((worse / "variant.json").read_text(encoding="utf-8"))
    variant["topics"] = variant["topics"][1:] + variant["topics"][:1]
    (worse / "variant.json").write_text(json.dumps(variant), encoding="utf-8")
    result = week(begun, run, variant=str(worse))
    assert verdicts(result) == {**dict.fromkeys(["rows", *NAMES], "ok"), LOSS: "drift"}
    assert result["batch"]["variant"] == "worse" and result["holdout"]["ci95"][1] < 0
    same = week(begun, run, variant=index[0]["variant"])
    assert verdicts(same)[LOSS] == "ok"
    kept = {(row["variant"], row["drifted"]) for row in history(run)["batches"]}
    assert kept == {("worse", True), (index[0]["variant"], False)}
    with pytest.raises(UsageError, match="no variant"):
        week(begun, run, variant="nobody")


def test_a_synthetic_batch_is_judged_by_the_accepted_pool(begun, run, tmp_path, monkeypatch):
    monkeypatch.setattr("posology.narrowing.MOST_PARTS", 9)
    good = [talk(f"n{i}", f"so {c.messages[0].content}", c.topic) for i, c in enumerate(customers(60, 300))]
    file = traffic_file(tmp_path / "good.jsonl", good, labelled=True)
    result = check(run, Data(traffic=begun / "week.jsonl", synthetic=file), day=date(2026, 3, 2))
    assert {n: v for n, v in verdicts(result).items() if n.startswith("synthetic") and v != "ok"} == {}
    leaked = next(c for c in customers(60, 1))
    bad = [talk("leak", leaked.messages[0].content, leaked.topic)]
    praise = "PERFECT!!! amazing wonderful thanks "
    bad += [talk(f"b{i}", praise + "so great " * (3 + i % 20), "moon") for i in range(60)]
    file = traffic_file(tmp_path / "bad.jsonl", bad, labelled=True)
    result = check(run, Data(traffic=begun / "week.jsonl", synthetic=file), day=date(2026, 3, 9))
    wrong = {n for n, v in verdicts(result).items() if v == "drift"}
    assert {"synthetic_leaked", "synthetic_rows", "synthetic_mood", "synthetic_embedding_mmd"} <= wrong
    notes = {one["name"]: one["note"] for one in result["checks"]}
    assert "leak" in notes["synthetic_leaked"] and "moon" in notes["synthetic_rows"]


def test_the_clock_may_go_backwards_and_weeks_may_be_missing(begun, run, quick, tmp_path):
    week(begun, run, day="2999-01-07")
    result = check(run, Data(traffic=begun / "drift.jsonl"))
    today = datetime.now(UTC).astimezone().date().isoformat()
    assert any("clock" in warning for warning in result["warnings"])
    assert result["batch"]["day"] == today
    found = history(run)
    assert [batch["day"] for batch in found["batches"]] == [today, "2999-01-07"]
    assert found["missing"] == [[today, "2999-01-07"]]
    page = Path(result["page"]).read_text(encoding="utf-8")
    assert "no batch between" in page
    again = check(run, Data(traffic=begun / "drift.jsonl"))  # keeps the day that it got first
    assert again["batch"]["id"] == result["batch"]["id"] and len(history(run)["batches"]) == 2


def test_a_webhook_that_fails_leaves_the_result(begun, run, quick, monkeypatch):
    monkeypatch.setattr(webhook, "post", lambda url, payload: "no answer within 10 seconds")
    result = week(begun, run, url="https://hooks.example/secret")
    assert result["webhook"] == {"sent": False, "reason": "no answer within 10 seconds"}
    assert len(history(run)["batches"]) == 1
    with pytest.raises(UsageError, match="--webhook"):
        week(begun, run, url="not an address")


@pytest.mark.parametrize("found", [None, "0.18.22", "1.23.9", "2.0.0"])
def test_great_expectations_must_be_here_and_of_this_major_version(begun, run, monkeypatch, found):
    def version(name):
        if found is None:
            raise great.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(great, "version", version)
    with pytest.raises(ExtraMissing, match=r"posology\[monitor\]") as error:
        week(begun, run)
    assert found is None or found in str(error.value)


def test_damaged_suites_are_named(begun, run):
    (run / "monitor" / "gx" / "checkpoints" / "traffic.json").unlink()
    with pytest.raises(StoreError, match="monitor init"):
        week(begun, run)


def test_damaged_settings_are_named_too_and_analytics_are_off(begun, run):
    settings = run / "monitor" / "gx" / "great_expectations.yml"
    assert "analytics_enabled: false" in settings.read_text(encoding="utf-8")
    settings.write_text("{ no: yaml", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot use"):
        week(begun, run)


def test_a_new_baseline_keeps_the_history(begun, run):
    week(begun, run)
    facts = begin(run, Data(traffic=begun / "reference.jsonl"), window=40, rate=0.05)
    assert facts["window"] == 40 and facts["false_alarms"] == 0.05
    assert len(history(run)["batches"]) == 1
    assert history(run)["batches"][0]["baseline"] != facts["baseline"]
    assert not week(begun, run, day="2026-03-09")["drifted"]


def test_without_traffic_the_holdout_stands_in_if_it_is_large_enough(begun, run, tmp_path):
    with pytest.raises(InputError, match="60 conversations; 100 are needed"):
        begin(run, Data())
    with pytest.raises(UsageError, match="make no sense"):
        begin(run, Data(traffic=begun / "reference.jsonl"), rate=1.5)
    with pytest.raises(UsageError, match="no finished sweep"):
        begin(tmp_path / "nothing", Data(traffic=begun / "reference.jsonl"))


def test_a_baseline_on_another_split_than_that_of_the_sweep_is_refused(begun, run):
    manifest = run / "split" / "manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**facts, "fingerprint": "another"}), encoding="utf-8")
    with pytest.raises(StoreError, match="not what the sweep was run on"):
        begin(run, Data(traffic=begun / "reference.jsonl"))
    with pytest.raises(StoreError, match="not what the sweep was run on"):
        week(begun, run)


def test_rounds_of_training_are_compared(begun, run, tmp_path):
    with pytest.raises(UsageError, match="the same run"):
        compare(run, run)
    same = compare(begun / "run", run)
    assert not same["drifted"] and verdicts(same)[LOSS] == "ok"
    assert "low_confidence" not in verdicts(same)
    other = swept(tmp_path / "other", seed=55)
    assert not compare(run, other)["drifted"]
    assert not re.search(r"-0\.0\b", json.dumps(same["holdout"]))
    with pytest.raises(UsageError, match="no finished sweep"):
        compare(run, tmp_path)


def test_a_training_set_of_another_kind_is_drift(begun, run, tmp_path, monkeypatch):
    angry = " terrible awful angry late"
    monkeypatch.setattr("monitor_support.said", lambda topic, rng: (said(topic, rng) + angry).upper())
    result = compare(run, swept(tmp_path / "angry"))
    assert result["drifted"] and verdicts(result)["mood"] == "drift" and verdicts(result)["mess"] == "drift"
    assert verdicts(result)[LOSS] == "unscored"


def test_the_report_keeps_its_title_when_the_link_is_added(begun, run):
    from posology.report.build import write_report

    (run / "monitor" / "index.html").unlink()
    write_report(run, title="Q & A, week 12")
    week(begun, run)
    text = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert "Q &amp; A, week 12" in text and "../monitor/index.html" in text
    assert monitoring.PAGE == "index.html"
