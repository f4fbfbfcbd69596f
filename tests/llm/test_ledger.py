import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.serving import ask, reply
from posology.errors import StoreError
from posology.llm.calls import Call, request_from_json, request_to_json
from posology.llm.contract import ChatRequest, ModelCallError, Reply, Usage
from posology.llm.ledger import Ledger


def call(text="hello", outcome=None, **fields):
    request = ask(text)
    return Call(request.key("p"), "p", "generate", request, outcome or reply(), **fields)


def write(ledger, *calls):
    async def all_at_once():
        return await asyncio.gather(*map(ledger.write, calls))

    return asyncio.run(all_at_once())


def failure(kind, raw=""):
    return ModelCallError("it failed.", kind=kind, raw=raw)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sub" / "ledger.sqlite"


def test_a_reply_comes_back_whole_after_reopening(path):
    said = Reply("two\nlines ☃ \x00 end", Usage(7, 5, 4), "length", "m-2026", 1.25)
    with Ledger(path) as ledger:
        assert write(ledger, call(outcome=said, cost=0.5)) == [said]
    with Ledger(path) as ledger:
        assert ledger.look_up(ask("hello").key("p")) == said
        assert ledger.look_up(ask("other").key("p")) is None


def test_a_reply_is_on_the_disk_before_it_is_handed_on(path):
    code = f"""
import asyncio, os, signal, sys
from pathlib import Path
from posology.llm.calls import Call
from posology.llm.contract import ChatRequest, Reply, Usage
from posology.llm.ledger import Ledger

async def one(ledger, i):
    await ledger.write(Call(f"k{{i}}", "p", "s", ChatRequest("m", ()), Reply("x", Usage(), "stop", "m")))
    os.write(1, f"k{{i}}\\n".encode())
    if i == 150:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    ledger = Ledger(Path({str(path)!r}))
    await asyncio.gather(*(one(ledger, i) for i in range(300)))

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -9
    told = done.stdout.split()
    assert len(told) > 100
    with Ledger(path) as ledger:
        assert ledger.answered(told) == set(told)


@pytest.mark.parametrize(
    ("kind", "final"), [("refused", True), ("context_too_long", True), ("timeout", False), ("malformed", False)]
)
def test_only_final_failures_answer_a_re_run(path, kind, final):
    with Ledger(path) as ledger:
        write(ledger, call(outcome=failure(kind, raw="<html>")))
        known = ledger.look_up(ask("hello").key("p"))
        assert (known is not None) == final
        if final:
            assert (known.kind, known.message, known.raw) == (kind, "it failed.", "<html>")
        assert [row["raw"] for row in ledger.rows()] == ["<html>"]


def test_the_first_reply_of_a_key_stands_and_later_writers_get_it(path):
    with Ledger(path) as one, Ledger(path) as two:
        assert write(one, call(outcome=reply("first")), call("x"))[0].text == "first"
        got = write(two, call(outcome=reply("second")), call("y", reply("of y")))
        assert [outcome.text for outcome in got] == ["first", "of y"]
        assert write(two, call(outcome=failure("timeout")))[0].kind == "timeout"
        assert two.write_all([call(outcome=reply("third")), call("z")]) == 1
        assert [row["status"] for row in one.rows()] == ["ok", "ok", "ok", "failed", "ok"]


def test_stats_count_by_stage_and_model(path):
    with Ledger(path) as ledger:
        write(
            ledger,
            call("a", cost=0.5, attempts=3),
            call("b"),
            call("c", failure("malformed"), attempts=2),
        )
        (totals,) = ledger.stats()
        assert (totals.stage, totals.provider, totals.model) == ("generate", "p", "m")
        assert (totals.answered, totals.failed, totals.attempts) == (2, 1, 6)
        assert (totals.input_tokens, totals.output_tokens, totals.cost, totals.unpriced) == (6, 4, 0.5, 1)


def test_export_writes_every_row_with_its_messages(path, tmp_path):
    with Ledger(path) as ledger:
        write(ledger, call("a", cost=0.5), call("b", failure("refused", raw="no")))
        assert ledger.export(tmp_path / "rows.jsonl") == 2
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {row["status"] for row in rows} == {"ok", "failed"}
    assert rows[0]["request"]["messages"] == [{"role": "user", "content": "a"}]
    assert request_from_json(rows[0]["request"]) == ask("a")


def test_gc_removes_failed_attempts_only(path):
    with Ledger(path) as ledger:
        write(ledger, call("a", failure("malformed")), call("b", failure("timeout")), call("c", failure("refused")))
        write(ledger, call("a"))
        assert ledger.gc(keep_failed=True) == 1  # that of the call that was answered later
        assert ledger.gc() == 1
        assert sorted(row["status"] for row in ledger.rows()) == ["failed", "ok"]
        assert ledger.look_up(ask("c").key("p")).kind == "refused"


def test_looking_up_twenty_thousand_keys_takes_well_under_a_second(path):
    with Ledger(path) as ledger:
        keys = [f"{i:064x}" for i in range(20_000)]
        ledger.write_all(Call(key, "p", "s", ask(), reply()) for key in keys[::2])
        start = time.perf_counter()
        found = ledger.answered(keys)
        seconds = time.perf_counter() - start
    assert len(found) == 10_000
    assert seconds < 1.0


def test_two_processes_write_one_ledger(path):
    code = """
import asyncio, sys
from pathlib import Path
from posology.llm.calls import Call
from posology.llm.contract import ChatRequest, Reply, Usage
from posology.llm.ledger import Ledger

async def main(path, name):
    with Ledger(Path(path)) as ledger:
        for start in range(0, 400, 40):
            calls = [Call(f"k{i}", "p", "s", ChatRequest("m", ()), Reply(name, Usage(), "stop", "m"))
                     for i in range(start, start + 40)]
            own = [Call(f"{name}{i}", "p", "s", ChatRequest("m", ()), Reply(name, Usage(), "stop", "m"))
                   for i in range(start, start + 40)]
            got = await asyncio.gather(*map(ledger.write, calls + own))
            print(*(f"k{i}={reply.text}" for i, reply in zip(range(start, start + 40), got)))

asyncio.run(main(*sys.argv[1:]))
"""
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    said = [set(process.communicate()[0].split()) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1]  # who lost a race uses what won it
    with Ledger(path) as ledger:
        rows = list(ledger.rows())
    assert len(rows) == len({row["key"] for row in rows}) == 1200


def test_threads_share_a_ledger(path):
    with Ledger(path) as ledger:
        threads = [
            threading.Thread(target=write, args=(ledger, *(call(f"{t} {i}") for i in range(50)))) for t in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(list(ledger.rows())) == 200


def test_a_call_whose_waiter_was_cancelled_is_kept(path):
    async def leave():
        task = asyncio.create_task(ledger.write(call()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    ledger = Ledger(path)
    asyncio.run(leave())
    ledger.close()
    with Ledger(path) as again:
        assert again.look_up(ask("hello").key("p")) == reply()


def damage_head(data):
    return b"not a database at all" + data[21:]


def damage_middle(data):
    return data[:4096] + b"\xab" * (len(data) - 4096)


@pytest.mark.parametrize("damage", [damage_head, damage_middle, lambda data: b"hello " * 100])
def test_a_damaged_file_is_named_and_never_deleted(path, damage):
    with Ledger(path) as ledger:
        ledger.write_all(call(f"{i}") for i in range(200))
    data = damage(path.read_bytes())
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"ledger\.sqlite is damaged.*Nothing was deleted"), Ledger(path) as ledger:
        for i in range(200):
            ledger.look_up(ask(f"{i}").key("p"))
    assert path.read_bytes() == data


def test_another_database_and_a_newer_ledger_are_refused(tmp_path):
    for name, statements, said in (
        ("other", ["CREATE TABLE t (x)"], "no ledger"),
        ("newer", [], "newer than this posology"),
    ):
        path = tmp_path / name
        if name == "newer":
            Ledger(path).close()
            statements = ["PRAGMA user_version = 99"]
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        with pytest.raises(StoreError, match=said):
            Ledger(path)


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file/ledger"):
        Ledger(tmp_path / "file" / "ledger.sqlite")
    with pytest.raises(StoreError, match="cannot open"):
        Ledger(tmp_path)


def test_a_ledger_held_by_another_process_is_an_error_and_loses_nothing(path):
    with Ledger(path, patience=0.1) as ledger:
        write(ledger, call("before"))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="held by another process"):
            write(ledger, call("during"))
        other.execute("ROLLBACK")
        other.close()
        write(ledger, call("after"))
        assert len(list(ledger.rows())) == 2


def test_a_closed_ledger_says_so(path):
    ledger = Ledger(path)
    ledger.close()
    ledger.close()
    with pytest.raises(StoreError, match="closed"):
        ledger.look_up("k")
    with pytest.raises(StoreError, match="closed"):
        write(ledger, call())


def test_lone_surrogates_do_not_lose_a_reply(path):
    with Ledger(path) as ledger:
        write(ledger, call("ask \ud83d", reply("broken \ud83d emoji")))
        assert ledger.look_up(ask("ask \ud83d").key("p")).text == "broken ? emoji"


texts = st.text(max_size=20)
requests = st.builds(
    ChatRequest,
    model=texts,
    messages=st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    max_tokens=st.integers(1, 9999),
    seed=st.none() | st.integers(0, 2**31),
    schema=st.none() | st.just({"type": "object"}),
    stop=st.lists(texts, max_size=2).map(tuple),
    extra=st.dictionaries(texts, st.integers(), max_size=2),
)


@settings(max_examples=100, deadline=None)
@given(requests)
def test_a_request_survives_json_with_its_key(request):
    again = request_from_json(json.loads(json.dumps(request_to_json(request))))
    assert again == request
    assert again.key("p") == request.key("p")


def test_no_key_of_a_provider_can_be_in_a_row(path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with Ledger(path) as ledger:
        write(ledger, call())
    assert b"sk-very-secret" not in b"".join(file.read_bytes() for file in Path(path.parent).iterdir())


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 255, 256, 257])
def test_as_many_rows_are_written_as_were_given(path, n):
    calls = [call(f"number {i}") for i in range(n)]
    with Ledger(path) as ledger:
        assert ledger.write_all(calls) == n
        assert ledger.write_all([*calls, call("one more")]) == 1
        write(ledger, *calls, call("and another"))
        assert [row["key"] for row in ledger.rows()] == [c.key for c in (*calls, call("one more"), call("and another"))]
        assert ledger.write_all([]) == 0
