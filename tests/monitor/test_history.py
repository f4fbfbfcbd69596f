from datetime import date

import pyarrow.parquet as pq

from posology.monitor.history import History, batch_id, missing


def result(content, day, value=0.1):
    when = date.fromisoformat(day)
    return {
        "drifted": value > 0.2,
        "judged": 200,
        "holdout": {},
        "clusters": [],
        "warnings": [],
        "batch": {"id": batch_id(content, when, "v"), "day": day, "n": 200, "variant": "v", "baseline": "b"},
        "checks": [
            {"name": "length", "value": value, "threshold": 0.2, "p_value": 0.5, "verdict": "ok", "note": ""},
            {"name": "mood", "value": None, "threshold": None, "p_value": None, "verdict": "unscored", "note": "few"},
        ],
    }


def table(folder):
    return pq.read_table(folder / "history.parquet").to_pylist()


def test_a_batch_that_is_checked_twice_has_one_entry(tmp_path):
    history = History(tmp_path)
    history.add(result("x", "2026-01-05"))
    history.add(result("y", "2026-01-12"))
    history.add(result("x", "2026-01-05", value=0.3))
    rows = table(tmp_path)
    assert [(row["day"], row["name"], row["value"]) for row in rows] == [
        (date(2026, 1, 5), "length", 0.3),
        (date(2026, 1, 5), "mood", None),
        (date(2026, 1, 12), "length", 0.1),
        (date(2026, 1, 12), "mood", None),
    ]
    assert history.earlier(batch_id("x", date(2026, 1, 5), "v"))["drifted"]
    assert history.earlier("unknown") is None


def test_the_same_traffic_for_two_days_is_two_batches(tmp_path):
    history = History(tmp_path)
    history.add(result("x", "2026-01-05"))
    assert len(history.add(result("x", "2026-01-12"))) == 2
    assert batch_id("x", None, "v") != batch_id("x", date(2026, 1, 5), "v")
    assert batch_id("x", None, "v") != batch_id("x", None, "w")


def test_what_comes_late_finds_its_place(tmp_path):
    history = History(tmp_path)
    for day in ("2026-01-19", "2026-01-05", "2026-01-12"):
        found = history.add(result(day, day))
    assert [one["batch"]["day"] for one in found] == ["2026-01-05", "2026-01-12", "2026-01-19"]
    assert [one["batch"]["order"] for one in found] == [2, 3, 1]


def test_a_half_written_history_is_whole_again(tmp_path):
    history = History(tmp_path)
    for day in ("2026-01-05", "2026-01-12"):
        history.add(result(day, day))
    (tmp_path / "history.parquet").write_bytes(b"PAR1 half")
    one, _ = sorted((tmp_path / "checks").glob("*.json"))
    one.write_text('{"batch": {"id": "x", "da', encoding="utf-8")
    (tmp_path / "checks" / "list.json").write_text("[]", encoding="utf-8")
    again = History(tmp_path)
    again.add(result("z", "2026-01-19"))
    assert len({row["batch"] for row in table(tmp_path)}) == 2
    assert sorted(again.damaged) == sorted([one.name, "list.json"])
    assert one.with_suffix(".damaged").is_file()
    assert History(tmp_path).results() and not History(tmp_path).damaged


def test_missing_weeks_are_named(tmp_path):
    history = History(tmp_path)
    for day in ("2026-01-05", "2026-01-12", "2026-02-02"):
        found = history.add(result(day, day))
    assert missing(found) == [(date(2026, 1, 12), date(2026, 2, 2))]
    assert missing([]) == []
