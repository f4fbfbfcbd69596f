import json

from posology.report import sources


def test_everything_optional_may_be_missing(tmp_path):
    found = sources.collect(tmp_path)
    assert found.gaps is found.rejected is found.set_aside is None
    assert found.manifests == {}
    assert found.notes["gaps/gaps.json"] == "is missing"
    assert found.notes["select/rejected.jsonl"] == "is missing"


def test_a_whole_run_is_read(make_run):
    found = sources.collect(make_run())
    assert len(found.gaps.topics) == 77
    assert found.gaps.slices[0].flag
    assert found.gaps.traffic.clusters[0].words == ["crypto", "wallet", "bitcoin"]
    assert list(found.manifests) == ["split", "select", "sweep"]
    assert found.warnings == [
        "11 candidates were near copies of holdout conversations; the generator may have seen them."
    ]
    assert found.rejected.counts["duplicate_in_pool"] == 187
    assert all(len(kept) <= sources.EXAMPLES for kept in found.rejected.examples.values())
    assert found.set_aside.counts == {"leaked_near": 9, "no_text": 3}


def test_damaged_files_cost_their_section_only(make_run):
    run = make_run()
    (run / "gaps/gaps.json").write_text('{"topics": [{"topic": 1}]}')
    (run / "select/manifest.json").write_text("{")
    (run / "sweep/manifest.json").write_text("[1]")
    found = sources.collect(run)
    assert found.gaps is None
    assert found.notes["gaps/gaps.json"] == "is damaged"
    assert found.notes["select/manifest.json"] == "is damaged"
    assert list(found.manifests) == ["split"]


def test_bad_lines_are_counted_and_passed_over(tmp_path):
    rows = [
        '{"id": "a", "reason": "leaked_near", "messages": "none"}',
        "",
        "not json",
        "[1, 2]",
        '{"id": "b"}',
        json.dumps(
            {"id": "c", "reason": "leaked_near", "messages": [7, {"role": "user", "content": [{"text": "hi"}]}]}
        ),
        json.dumps({"id": 5, "reason": "leaked_near", "messages": [{"role": "user", "content": "x" * 999}] * 9}),
    ]
    path = tmp_path / "select/rejected.jsonl"
    path.parent.mkdir()
    path.write_bytes("\n".join(rows).encode() + b"\n\xff\xfe\n")
    found = sources.collect(tmp_path).rejected
    assert found.counts == {"leaked_near": 3, "no reason given": 1}
    assert found.unreadable == 3
    first, second, third = found.examples["leaked_near"]
    assert first.turns == ()
    assert second.turns == (("user", "hi"),)
    assert third.id == "5"
    assert len(third.turns) == sources.TURNS
    assert len(third.turns[0][1]) == sources.TURN_LENGTH


def test_warnings_of_another_shape_are_ignored(tmp_path):
    path = tmp_path / "verify/manifest.json"
    path.parent.mkdir()
    path.write_text('{"warnings": "one"}')
    assert sources.collect(tmp_path).warnings == []


def test_what_the_loop_found_is_no_warning_about_the_data(tmp_path):
    for stage in ("split", "recurse"):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "manifest.json").write_text(f'{{"warnings": ["of {stage}"]}}')
    assert sources.collect(tmp_path).warnings == ["of split"]
