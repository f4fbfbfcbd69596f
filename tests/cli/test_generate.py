"""posology generate: every way in, and whatever is wrong with it."""

import json
import socket

import pytest

from chat_server import ChatServer, sensible
from posology.store import RunFolder
from shop_files import ends, flags, lines, rows_of, write_shop

MODEL = {"model": "openai:test-model"}


@pytest.fixture
def shop(tmp_path):
    return write_shop(tmp_path)


@pytest.fixture
def server():
    server = ChatServer()
    yield server
    server.close()


@pytest.fixture
def generate(posology, shop, server):
    """Runs `posology generate` on the shop against the server; keyword arguments replace flags."""

    def run(**changes):
        return posology("generate", "--quiet", *flags(shop, **{**MODEL, "base_url": server.url, **changes}))

    return run


@pytest.mark.parametrize("mode", ["dialogue", "turns", "message", "continuation"])
def test_every_row_ends_in_every_mode(generate, shop, server, mode):
    outcome = generate(mode=mode, json=True)
    assert outcome.code == 0, outcome.err
    ended, planned = ends(shop)
    assert ended == planned and len(planned) == 12
    candidates = rows_of(shop, "candidates.jsonl")
    assert candidates and outcome.json["n_candidates"] == len(candidates)
    first = candidates[0]
    assert first["source"] == "synthetic" and first["mode"] == mode and first["topic"] in ("parcel", "refund", "size")
    assert [m["role"] for m in first["messages"]] == (["user", "assistant"] * 20)[: len(first["messages"])]
    manifest = json.loads((shop / "run/generate/manifest.json").read_text())
    assert manifest["totals"][0]["calls"] == len(server.asked) == outcome.json["sent"]
    assert manifest["totals"][0]["cost"] is None and "price" in manifest["warnings"][0]


def test_the_same_again_sends_nothing_and_gives_the_same_bytes(generate, shop, server):
    assert generate().code == 0
    asked, before = len(server.asked), (shop / "run/generate/candidates.jsonl").read_bytes()
    again = generate(json=True)
    assert again.code == 0 and again.json["sent"] == 0 and len(server.asked) == asked
    (shop / "run/generate/manifest.json").unlink()
    assert generate(json=True).json["sent"] == 0 and len(server.asked) == asked
    assert (shop / "run/generate/candidates.jsonl").read_bytes() == before


def test_rejected_rows_keep_their_reason_and_the_raw_reply(generate, shop, server):
    server.answer = lambda body: "no JSON here"
    outcome = generate(json=True, count=3)
    assert outcome.code == 0 and outcome.json["n_candidates"] == 0 and outcome.json["n_rejected"] == 3
    rejected = rows_of(shop, "rejected.jsonl")
    assert {row["raw"] for row in rejected} == {"no JSON here"} and {row["attempt"] for row in rejected} == {3}
    assert all(row["reason"] == "no_json" for row in rejected) and len(rows_of(shop, "attempts.jsonl")) == 6
    assert any("no_json" in warning for warning in outcome.json["warnings"])


def test_a_dry_run_sends_nothing_and_reckons(generate, shop, server):
    (shop / "posology.yaml").write_text("prices: {test-model: {input: 1000, output: 1000}}\n")
    outcome = generate(dry_run=True, json=True, config=shop / "posology.yaml")
    assert outcome.code == 0, outcome.err
    assert server.asked == [] and outcome.json["calls"] == 12 and 0 < outcome.json["cost"] < outcome.json["most_cost"]
    assert not (shop / "run/ledger.sqlite").exists()
    assert generate(config=shop / "posology.yaml").code == 0
    known = generate(dry_run=True, json=True, config=shop / "posology.yaml").json
    assert known["calls"] == 0 and known["n_plan"] == 12


def test_a_dry_run_of_turns_counts_every_turn(generate, shop):
    outcome = generate(dry_run=True, json=True, mode="turns", count=3)
    generate(plan_only=True, mode="turns", count=3)
    assert outcome.json["calls"] == sum(row["turns"] for row in rows_of(shop, "plan.jsonl"))
    assert outcome.json["cost"] is None and "price" in outcome.json["warnings"][0]


def test_the_budget_stops_before_it_is_passed_and_more_money_goes_on(generate, shop, server):
    (shop / "posology.yaml").write_text("prices: {test-model: {input: 0, output: 0, call: 1}}\n")
    more = {"config": shop / "posology.yaml", "concurrency": 4}
    outcome = generate(budget=5, **more)
    assert outcome.code == 4 and "budget of 5" in outcome.err
    assert len(server.asked) == 5 and len(rows_of(shop, "candidates.jsonl")) == 5
    assert not (shop / "run/generate/manifest.json").exists()
    assert generate(budget=5, **more).code == 4 and len(server.asked) == 5
    assert generate(budget=100, **more).code == 0 and len(server.asked) == 12
    assert ends(shop)[0] == ends(shop)[1]


def test_money_that_calls_in_flight_hold_is_waited_for(generate, shop, server):
    # 12 calls cost about 2.6 each, and may cost 64: at most 1 or 2 are set aside at once.
    (shop / "posology.yaml").write_text("prices: {test-model: {input: 0, output: 200000}}\n")
    server.delay = 0.02
    outcome = generate(budget=130, config=shop / "posology.yaml", json=True)
    assert outcome.code == 0, outcome.err
    assert outcome.json["n_candidates"] == 12 and outcome.json["totals"][0]["cost"] < 130


def test_a_budget_needs_a_price(generate, server):
    outcome = generate(budget=5)
    assert outcome.code == 2 and "test-model" in outcome.err and "price" in outcome.err and not server.asked


def test_a_wrong_key_names_the_variable_and_stops_at_the_first_call(generate, server, monkeypatch):
    server.key = "right"
    monkeypatch.setenv("SHOP_KEY", "wrong-secret")
    outcome = generate(api_key_env="SHOP_KEY")
    assert outcome.code == 1 and "SHOP_KEY" in outcome.err and "wrong-secret" not in outcome.err
    assert server.knocked == 1
    monkeypatch.setenv("SHOP_KEY", "right")
    assert generate(api_key_env="SHOP_KEY").code == 0


def test_no_key_at_all(posology, shop, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    outcome = posology("generate", "--quiet", *flags(shop, model="openai:gpt-4o-mini"))
    assert outcome.code in (1, 2) and "OPENAI_API_KEY" in outcome.err


def test_a_key_that_is_refused_later_takes_nothing_away(generate, shop, server, monkeypatch):
    (shop / "posology.yaml").write_text("prices: {test-model: {input: 0, output: 0, call: 1}}\n")
    more = {"config": shop / "posology.yaml", "api_key_env": "SHOP_KEY", "concurrency": 4}
    assert generate(budget=7, **more).code == 4
    before = rows_of(shop, "candidates.jsonl")
    server.key = "right"
    monkeypatch.setenv("SHOP_KEY", "wrong-secret")
    assert generate(**more).code == 1
    assert len(before) == 7 and rows_of(shop, "candidates.jsonl") == before


def test_the_format_of_anthropic(generate, shop, server, monkeypatch):
    server.key = "right"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "wrong-secret")
    more = {"model": "anthropic:test-model", "base_url": server.url.removesuffix("/v1")}
    outcome = generate(**more)
    assert outcome.code == 1 and "ANTHROPIC_API_KEY" in outcome.err and "wrong-secret" not in outcome.err
    monkeypatch.setenv("ANTHROPIC_API_KEY", "right")
    outcome = generate(**more, json=True)
    assert outcome.code == 0 and outcome.json["n_candidates"] == 12 == outcome.json["sent"], outcome.err


def test_a_model_that_is_not_there(generate, server):
    server.answer = lambda body: (404, {"error": {"message": "no such model", "code": "model_not_found"}})
    outcome = generate()
    assert outcome.code == 1 and "test-model" in outcome.err and len(server.asked) <= 12


def test_a_prompt_that_the_model_finds_too_long_is_asked_again_shortened(generate, shop, server):
    longest, section = 4000, "We look at every single thing that is sent back to us. " * 80
    (shop / "docs" / "help.md").write_text(f"# Refunds\nTopic: refund\n\n{section}\n# Parcels\n\n{section}\n")

    def limited(body):
        too_long = sum(len(message["content"]) for message in body["messages"]) > longest
        refusal = {"error": {"message": "too long", "code": "context_length_exceeded"}}
        return (400, refusal) if too_long else sensible(body)

    server.answer = limited
    outcome = generate(json=True)
    assert outcome.code == 0 and outcome.json["n_candidates"] == 12, outcome.err
    tried = rows_of(shop, "attempts.jsonl")
    assert tried and {row["reason"] for row in tried} == {"call_context_too_long"}
    shortened = [row for row in rows_of(shop, "candidates.jsonl") if row["attempt"] > 1]
    assert {row["id"] for row in shortened} == {row["id"] for row in tried} and all(row["trimmed"] for row in shortened)


def test_a_prompt_that_stays_too_long_is_rejected_and_counted(generate, shop, server):
    server.answer = lambda body: (400, {"error": {"message": "too long", "code": "context_length_exceeded"}})
    outcome = generate(json=True, count=4)
    assert outcome.code == 0, outcome.err
    reasons = outcome.json["rejected"]
    assert sum(reasons.values()) == 4 and reasons.keys() <= {"call_context_too_long", "prompt_too_long"}
    assert ends(shop)[0] == ends(shop)[1] and any(next(iter(reasons)) in text for text in outcome.json["warnings"])


def test_a_limit_on_prompts_is_kept_by_trimming_and_if_it_is_too_small_told(generate, shop, server):
    (shop / "posology.yaml").write_text("generate: {prompt_tokens: 300}\n")
    assert generate(config=shop / "posology.yaml").code == 0
    assert all(row["trimmed"] for row in rows_of(shop, "candidates.jsonl")) and rows_of(shop, "candidates.jsonl")
    (shop / "posology.yaml").write_text("generate: {prompt_tokens: 20}\n")
    asked = len(server.asked)
    outcome = generate(config=shop / "posology.yaml", json=True)
    assert outcome.code == 0 and outcome.json["rejected"] == {"prompt_too_long": 12} and len(server.asked) == asked


def test_a_server_that_is_not_there(generate):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    outcome = generate(base_url=url)
    assert outcome.code == 1 and url.removeprefix("http://").removesuffix("/v1") in outcome.err
    assert "Traceback" not in outcome.err


def test_a_server_that_answers_with_a_web_page(generate, server):
    server.page = "<html><body>Welcome</body></html>"
    outcome = generate()
    assert outcome.code == 1 and "HTML" in outcome.err and "Traceback" not in outcome.err and server.knocked <= 3


@pytest.mark.parametrize("flag", ["plan_only", "dry_run"])
def test_a_plan_is_written_without_a_call(generate, shop, server, flag):
    assert generate(**{flag: True}).code == 0 and not server.asked
    assert (shop / "run/generate/plan.jsonl").exists() == (flag == "plan_only")


def test_a_plan_that_was_edited_by_hand_is_used_and_kept(generate, shop, server):
    generate(plan_only=True)
    plan = shop / "run/generate/plan.jsonl"
    rows = rows_of(shop, "plan.jsonl")[:4]
    rows[0]["persona"] = {"name": "lighthouse keeper", "about": "Lives far from everything."}
    plan.write_text(lines(rows))
    assert generate().code == 0
    assert len(rows_of(shop, "candidates.jsonl")) == 4 and plan.read_text() == lines(rows)
    assert any("lighthouse" in json.dumps(body) for body in server.asked)
    other = generate(count=30)
    assert other.code == 2 and "--plan" in other.err and plan.read_text() == lines(rows)


def test_an_unknown_topic_in_a_plan_is_named_with_its_line(generate, shop, server):
    generate(plan_only=True)
    rows = rows_of(shop, "plan.jsonl")
    rows[2]["topic"] = "refnud"
    (shop / "plan.jsonl").write_text(lines(rows))
    outcome = generate(plan=shop / "plan.jsonl")
    assert outcome.code == 2 and "line 3" in outcome.err and "mean refund" in outcome.err and not server.asked


def test_an_unknown_topic_in_the_gaps(generate, shop, server):
    tree = json.loads((shop / "gaps.json").read_text())
    tree["topics"][0]["topic"] = "parsel"
    (shop / "gaps.json").write_text(json.dumps(tree))
    outcome = generate()
    assert outcome.code == 2 and "'parsel'" in outcome.err and "mean parcel" in outcome.err and not server.asked


def test_docs_and_catalog_that_are_none(generate, shop, server):
    (shop / "empty").mkdir()
    outcome = generate(docs=shop / "empty")
    assert outcome.code == 2 and "empty" in outcome.err
    (shop / "docs" / "odd.md").write_bytes(b"# A\n\ncaf\xe9\n")
    outcome = generate()
    assert outcome.code == 2 and "odd.md" in outcome.err and "line 3" in outcome.err
    (shop / "docs" / "odd.md").unlink()
    (shop / "catalog.csv").write_text("colour,price\nred,3\n")
    outcome = generate()
    assert outcome.code == 2 and "catalog.csv" in outcome.err and "name" in outcome.err and not server.asked


def test_a_template_with_an_unknown_variable(generate, shop, server):
    (shop / "prompts").mkdir()
    (shop / "prompts" / "message.md.j2").write_text("{% block user %}Write for {{ shop_name }}.{% endblock %}")
    outcome = generate(templates=shop / "prompts")
    assert outcome.code == 2 and "'shop_name'" in outcome.err and not server.asked


def test_a_preview_shows_prompts_and_conversations_and_is_not_bought_twice(generate, shop, server):
    outcome = generate(preview=5)
    assert outcome.code == 0 and outcome.out.count("--- conversation ---") == 5, outcome.err
    assert outcome.out.count("--- prompt 1 ---") == 5 and len(server.asked) == 5
    assert not (shop / "run/generate/candidates.jsonl").exists()
    assert generate(json=True).json["sent"] == 7 and server.repeated == 0


def test_a_preview_shows_what_stands_in_brackets(generate, server):
    server.answer = lambda body: json.dumps({"message": "I want my [bold] order, where is it now"})
    assert "where is it now" in (out := generate(preview=1).out) and "[bold]" in out


def test_requests_go_out_as_a_file_and_replies_come_back(generate, shop, server):
    out, back = shop / "out.jsonl", shop / "back.jsonl"
    assert generate(export_requests=out).code == 0 and not server.asked
    asked = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(asked) == 12 and {"custom_id", "method", "url", "body"} <= asked[0].keys()
    replies = [{"custom_id": row["custom_id"], "reply": sensible(row["body"])} for row in asked]
    back.write_text(lines(replies[:8]))
    partly = generate(import_replies=back, json=True)
    assert partly.code == 0 and partly.json["n_candidates"] == 8 and partly.json["n_open"] == 4
    assert generate(export_requests=out, json=True).json["n_requests"] == 4
    back.write_text(lines(replies))
    whole = generate(import_replies=back, json=True)
    assert whole.json["n_candidates"] == 12 and ends(shop)[0] == ends(shop)[1] and not server.asked


def test_replies_to_something_else(generate, shop):
    (shop / "back.jsonl").write_text(lines([{"custom_id": "x", "reply": "hello"}]))
    outcome = generate(import_replies=shop / "back.jsonl")
    assert outcome.code == 2 and "back.jsonl" in outcome.err


def test_actions_that_exclude_each_other(generate):
    outcome = generate(dry_run=True, plan_only=True)
    assert outcome.code == 2 and "--plan-only and --dry-run" in outcome.err


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model": "gpt-4"}, "names no model"),
        ({"base_url": "not an address"}, "address"),
        ({"concurrency": 0}, "concurrency"),
        ({"count": 0}, "count"),
        ({"mode": "poem"}, "mode"),
    ],
)
def test_flags_that_make_no_sense(generate, server, changes, word):
    outcome = generate(**changes)
    assert outcome.code == 2 and word in outcome.err and not server.asked


def test_a_script_stands_in_for_a_model(posology, shop):
    (shop / "script.py").write_text(
        "import json\n\n\ndef talk(request, rng):\n"
        "    said = ' '.join(rng.choice(['tent', 'rope', 'lamp', 'coat', 'order', 'late'], size=12))\n"
        "    return json.dumps({'message': f'I want to know where my {said} is'})\n"
    )
    outcome = posology("generate", "--quiet", "--json", *flags(shop, model=f"scripted:{shop / 'script.py'}:talk"))
    assert outcome.code == 0, outcome.err
    assert outcome.json["totals"][0]["cost"] == 0 and ends(shop)[0] == ends(shop)[1]


def test_a_run_folder_takes_one_process_at_a_time(generate, shop, server):
    with RunFolder(shop / "run"):
        outcome = generate()
    assert outcome.code == 1 and "another posology process" in outcome.err and not server.asked


def test_a_ledger_that_is_none_is_left_alone(generate, shop, server):
    (shop / "notes.sqlite").write_bytes(b"my notes, and no ledger at all\n" * 40)
    before = (shop / "notes.sqlite").read_bytes()
    outcome = generate(ledger=shop / "notes.sqlite")
    assert outcome.code == 1 and "notes.sqlite" in outcome.err and "Traceback" not in outcome.err
    assert (shop / "notes.sqlite").read_bytes() == before and not server.asked


def test_the_ledger_is_counted_written_out_and_tidied(posology, generate, shop):
    assert posology("ledger", "stats", shop / "run").code == 2
    generate()
    (row,) = posology("ledger", "stats", shop / "run", "--json").json["calls"]
    assert row["answered"] == 12 and row["model"] == "test-model" and row["unpriced"] == 12
    target = shop / "calls.jsonl"
    assert posology("ledger", "export", target, "--ledger", shop / "run", "--json").json["rows"] == 12
    assert "messages" in json.loads(target.read_text().splitlines()[0])["request"]
    assert posology("ledger", "gc", shop / "run", "--json").json == {"removed": 0}
