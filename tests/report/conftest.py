"""Made-up sweeps: dose_response.json documents of every status, and whole run folders around them."""

import hashlib
import itertools
import json
import math
import random
from pathlib import Path

import pytest

DOSES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
# Gains over real only by dose, for the selected arms; the random controls get `CONTROL_SHARE` of a gain.
GAINS = {
    "better": (0.0, 0.085, 0.115, 0.13, 0.15, 0.14, 0.1),
    "no_worse": (0.0, 0.004, 0.01, 0.018, 0.022, 0.012, -0.015),
    "inconclusive": (0.0, 0.005, 0.02, 0.03, 0.025, -0.01, -0.03),
    "harmful": (0.0, -0.04, -0.075, -0.11, -0.15, -0.24, -0.35),
}
CONTROL_SHARE = 0.72
HALF_WIDTH = {"better": 0.048, "no_worse": 0.019, "inconclusive": 0.062, "harmful": 0.055}
SUBJECTS = ("card", "transfer", "top-up", "refund", "passcode", "exchange rate", "statement", "direct debit")
EVENTS = (
    "delayed",
    "declined",
    "charged twice",
    "not recognised",
    "wrong amount",
    "limits",
    "cancelled",
    "abroad",
    "fee charged",
    "still pending",
)


def r6(value):
    return round(value, 6)


def measure(mean, half):
    return {"mean": r6(mean), "ci95": [r6(max(0, mean - half)), r6(min(1, mean + half))]}


def topic_names(n, *, nasty=False):
    names = [f"{subject}_{event}".replace(" ", "_").replace("-", "_") for event in EVENTS for subject in SUBJECTS][:n]
    names += [f"topic_{i}" for i in range(len(names), n)]
    if nasty:
        names[0] = "<script>alert('topic')</script> & \"quotes\""
        names[1] = "a_very_long_topic_name_" * 6 + "end"
        names[2] = "Rückbuchung: Ünïcödé 退款 & $100$"
    return names


def interpolated(x, xs, ys):
    for (x0, y0), (x1, y1) in zip(zip(xs, ys, strict=True), zip(xs[1:], ys[1:], strict=True), strict=False):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return ys[-1]


def make_topics(n, gain, *, holdout, seed=3, nasty=False):
    rng = random.Random(seed)
    names = topic_names(n, nasty=nasty)
    rows = []
    for i, name in enumerate(names):
        n_real = max(1, round(122 * math.exp(-i * 4.8 / n)))
        n_holdout = max(1, holdout // n) + (i < holdout % n)
        before = min(1, max(0, 0.95 - 0.5 * (i / n) + rng.gauss(0, 0.08)))
        after = min(1, max(0, before + gain * (0.3 + 1.6 * i / n) + rng.gauss(0, 0.07)))
        measured = i != n - 1 or n < 5
        rows.append(
            {
                "topic": name,
                "n_real": n_real,
                "n_synthetic": max(0, 30 - n_real),
                "n_holdout": n_holdout if measured else 0,
                "recall_real_only": r6(before) if measured else None,
                "recall_compared": r6(after) if measured else None,
            }
        )
    return rows


def make_arms(status, *, design, base, doses, controls, tail, pool):
    n_total, arms, half = 2000, [], HALF_WIDTH[status]
    for dose in doses:
        for kind in ("selected", "random") if controls and dose else ("selected",):
            wanted = round(n_total * dose) if design == "replace" else round(n_total * dose / (1 - dose))
            n_synthetic = min(wanted, pool)
            n_real = n_total - wanted if design == "replace" else n_total
            gain = interpolated(n_synthetic / (n_real + n_synthetic), DOSES, GAINS[status])
            own = gain if kind == "selected" else gain * (CONTROL_SHARE if gain > 0 else 1.1)
            choosing = gain * (1 - CONTROL_SHARE)
            delta = {
                "mean": r6(own),
                "ci95": [r6(own - half), r6(own + half)],
                "p_adjusted": r6(0.6 * math.exp(-abs(own) * 60)),
            }
            if not dose:
                delta = {"mean": 0.0, "ci95": [0.0, 0.0], "p_adjusted": 1.0}
            arms.append(
                {
                    "dose": dose,
                    "kind": kind,
                    "actual_dose": r6(n_synthetic / (n_real + n_synthetic)),
                    "n_real": n_real,
                    "n_synthetic": n_synthetic,
                    "n_pool_short": wanted - n_synthetic,
                    "accuracy": measure(base + own, 0.055),
                    "macro_recall": measure(base - 0.02 + own, 0.06),
                    "tail_recall": measure(min(0.97, 0.56 + 1.5 * own), 0.11) if tail else None,
                    "delta_vs_real_only": delta,
                    "delta_vs_random": {"mean": r6(choosing), "ci95": [r6(choosing - 0.03), r6(choosing + 0.03)]}
                    if kind == "selected" and dose and controls
                    else None,
                    "mcnemar_p": r6(math.exp(-abs(own) * 60)),
                    "ece": r6(0.08 + abs(own) / 4),
                }
            )
    return arms


def make_labels(status, base, gain):
    asymptote, c = base + 0.225, 0.55
    b = (asymptote - base) * 2000**c
    sizes = {n: asymptote - b * n**-c for n in (500, 800, 1200, 1600, 2000)}
    good = status == "better"
    equal = round((b / (asymptote - base - gain)) ** (1 / c)) - 2000
    return {
        "label_cost": 4.0,
        "currency": "$",
        "learning_curve": [
            {"n_real": n, "accuracy": r6(max(0.05, a)), "ci95": [r6(max(0, a - 0.055)), r6(max(0.1, a + 0.055))]}
            for n, a in sizes.items()
        ],
        "fit": {"law": "a - b*n^-c", "a": r6(asymptote), "b": r6(b), "c": c},
        "equivalent_labels": equal if good else None,
        "ci95": [round(equal * 0.55), None] if good else None,
        "saved": equal * 4.0 if good else None,
        "note": f"The gain equals about {equal:,} further real labels (95 % interval {equal // 2:,} to 19,900)."
        if good
        else "Real data alone is recommended, so there is no gain to express in labels.",
    }


def make_curve(arms):
    selected = sorted(
        {a["actual_dose"]: a for a in arms if a["kind"] == "selected"}.values(), key=lambda a: a["actual_dose"]
    )
    doses, mean = [], []
    for a, b in itertools.pairwise(selected):
        for i in range(8):
            t = i / 8
            doses.append(r6(a["actual_dose"] * (1 - t) + b["actual_dose"] * t))
            mean.append(r6(a["accuracy"]["mean"] * (1 - t) + b["accuracy"]["mean"] * t))
    doses.append(selected[-1]["actual_dose"])
    mean.append(selected[-1]["accuracy"]["mean"])
    return {
        "method": "monotone cubic through the arms, bootstrap over holdout conversations",
        "doses": doses,
        "mean": mean,
        "low": [r6(m - 0.05) for m in mean],
        "high": [r6(m + 0.045) for m in mean],
    }


STATUS = {
    "better": (
        0.3,
        "Dose 0.3 changes accuracy by +15.0 points against real data alone (simultaneous 95 % interval +10.2 to +19.8),"
        " adjusted p 0.0001. No smaller dose comes within one standard error of it.",
    ),
    "no_worse": (
        0.0,
        "No dose is shown to be better: the best, 0.3, changes accuracy by +2.2 points (simultaneous 95 % interval +0.3"
        " to +4.1). Dose 0.5 is the largest that costs less than 2.0 points at worst.",
    ),
    "inconclusive": (
        0.0,
        "No dose is shown to be better, and differences below 6.1 points cannot be told from 0 on this holdout."
        " Keep real data only.",
    ),
    "harmful": (0.0, "Every dose of 10 % or more lowers accuracy, with intervals that lie below zero."),
}


def make_dose_response(
    status="better",
    *,
    design="augment",
    topics=77,
    nasty=False,
    tail=True,
    controls=True,
    pool=10**6,
    optional=True,
    doses=DOSES,
    warnings=(),
):
    """A document that keeps the contract of sweep/dose_response.json."""
    base = 0.745
    arms = make_arms(status, design=design, base=base, doses=doses, controls=controls, tail=tail, pool=pool)
    dose, reason = STATUS[status]
    dose = dose if dose in doses else doses[-1]
    names = topic_names(topics, nasty=nasty)
    rng = random.Random(5)
    document = {
        "schema_version": 1,
        "design": design,
        "trainer": "head",
        "seeds": [0, 1, 2, 3, 4],
        "metric": "accuracy",
        "holdout": {"n": 200, "n_groups": 198, "smallest_resolvable_difference": 0.061},
        "arms": arms,
        "recommendation": {
            "dose": dose,
            "status": status,
            "reason": reason,
            "prob_best": {"0": 0.0, "0.05": 0.004, "0.1": 0.05, "0.2": 0.19, "0.3": 0.52, "0.5": 0.23, "0.7": 0.006},
        },
        "cliff": {
            "detected": status in ("harmful", "better"),
            "dose": doses[-1],
            "drop": 0.11 if status == "harmful" else 0.04,
            "ci95": [0.005, 0.08],
        },
    }
    if not document["cliff"]["detected"]:
        document["cliff"] = {"detected": False, "dose": None, "drop": None, "ci95": None}
    if not optional:
        return document
    document |= {
        "curve": make_curve(arms),
        "power": {
            "assumed": {"accuracy": base, "discordance": 0.17, "source": "the discordant pairs of this sweep"},
            "detectable": [
                {"difference": 0.03, "power": 0.17, "n_for_80": 1480},
                {"difference": 0.06, "power": 0.53, "n_for_80": 371},
                {"difference": 0.1, "power": 0.93, "n_for_80": 134},
                {"difference": 0.13, "power": 0.993, "n_for_80": 80},
            ],
            "sentence": "With 198 distinct held-out conversations, a true gain of 13 points with over 99 %,"
            " of 6 points with 53 %, of 3 points with 17 % probability is found. For 80 % it takes about 380 for 6,"
            " 1,500 for 3 points.",
        },
        "topics": {
            "compared_dose": dose or 0.3,
            "tail_max_real": 5,
            "rows": make_topics(topics, GAINS[status][4], holdout=200, nasty=nasty),
        },
        "confusions": sorted(
            (
                {
                    "topic": rng.choice(names),
                    "predicted": rng.choice(names),
                    "before": r6(before),
                    "after": r6(max(0, before + rng.choice([-2.4, -1.8, -1.2, -0.8, 0.6, 1.2]))),
                }
                for before in (rng.choice([0.2, 1, 1.6, 2, 2.8]) for _ in range(20))
            ),
            key=lambda row: -abs(row["before"] - row["after"]),
        ),
        "labels": make_labels(status, base, GAINS[status][4]),
        "rejected": {
            "leaked_exact": 3,
            "leaked_near": 11,
            "duplicate_of_real": 24,
            "duplicate_in_pool": 187,
            "wrong_topic": 96,
            "no_text": 2,
        },
        "warnings": list(warnings),
        "identity": {
            "posology": "0.1.0",
            "encoder": "minilm-l6-v2-int8@1.0.0",
            "text_rule": "user:all",
            "synthetic_weight": 0.6,
            "inputs": {name: hashlib.sha256(name.encode()).hexdigest() for name in ("train", "holdout", "selection")},
        },
    }
    return document


def make_slice(name, value, n, share, recall, difference, p, *, flag=None, note=""):
    around = None if difference is None else [r6(difference - 0.05), r6(difference + 0.05)]
    return {
        "slice": name,
        "value": value,
        "n": n,
        "share": share,
        "recall": recall,
        "ci95": [recall - 0.06, recall + 0.06],
        "difference": difference,
        "difference_ci95": around,
        "p_adjusted": p,
        "flag": flag,
        "note": note,
    }


def make_gaps(names):
    return {
        "schema_version": 1,
        "topics": [
            {
                "topic": name,
                "n_real": max(1, 60 - i),
                "recall": None if i % 9 == 8 else r6(max(0.1, 0.92 - i * 0.011)),
                "recall_ci95": None if i % 9 == 8 else [r6(max(0.0, 0.7 - i * 0.011)), r6(0.97 - i * 0.006)],
                "want": i * 3 % 41,
                "reason": "too few real examples to learn from" if i > 40 else "recall below the median of the topics",
            }
            for i, name in enumerate(names)
        ],
        "slices": [
            make_slice("length", "short", 310, 0.155, 0.58, -0.112, 0.003, flag="weaker than the rest of its topics"),
            make_slice("register", "formal", 420, 0.21, 0.79, 0.021, 0.61),
            make_slice("mood", "angry", 14, 0.007, 0.5, None, None, note="thin: 0.7% of the training data"),
        ],
        "traffic": {
            "n": 8000,
            "n_empty": 3,
            "far_quantile": 0.05,
            "threshold": 0.41,
            "n_far": 912,
            "n_noise": 380,
            "clusters": [
                {
                    "size": 240,
                    "share": 0.03,
                    "nearest_topic": "card_abroad",
                    "similarity": 0.33,
                    "words": ["crypto", "wallet", "bitcoin"],
                    "examples": [{"id": "t-17", "text": "can i buy bitcoin <b>here</b> & keep it in a wallet"}],
                },
            ],
        },
    }


def rejected_rows(reasons, *, nasty=False):
    told = {
        "leaked_exact": "I was charged twice for the same coffee this morning, can you cancel one of them please?",
        "leaked_near": "why has my card not arrived yet its been two weeks",
        "duplicate_in_pool": "My top-up has not shown up in the app. I paid by card an hour ago.",
        "wrong_topic": "hi, I want to close my account and also the exchange rate was awful",
    }
    for i, reason in enumerate(reason for reason, n in reasons.items() for _ in range(n)):
        text = told.get(reason, "The cash machine swallowed my card at the airport, what now?")
        if nasty and i % 2 == 0:
            text = "<img src=x onerror=alert(1)> & <b>bold</b> </details></section>" + text
        yield {
            "id": f"syn-{i:05d}",
            "topic": "card_delayed",
            "source": "synthetic",
            "reason": reason,
            "messages": [
                {"role": "user", "content": text},
                {"role": "assistant", "content": "Let me look into that for you."},
            ],
            "detail": f"matches real-{i:04d} of the holdout at 0.96",
            "other_id": f"real-{i:04d}",
            "score": 0.96,
            "threshold": 0.9,
        }


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_run(folder, document, *, sidecars=True, nasty=False):
    """A run folder as the stages leave it."""
    folder = Path(folder)
    write(folder / "sweep/dose_response.json", document)
    if not sidecars:
        return folder
    names = [row["topic"] for row in document.get("topics", {"rows": []})["rows"]]
    common = {
        "schema_version": 1,
        "posology": "0.1.0",
        "python": "3.11.7",
        "git": {"commit": "5f0c2a9e" * 5, "dirty": True},
    }
    write(folder / "gaps/gaps.json", make_gaps(names))
    write(
        folder / "split/manifest.json",
        common
        | {
            "stage": "split",
            "fingerprint": "a1" * 32,
            "files": ["holdout.jsonl", "train.jsonl"],
            "seed": 0,
            "given": False,
            "n_train": 2000,
            "n_holdout": 200,
            "holdout": {f"r-{i}": "ab" * 8 for i in range(200)},
            "removed": [],
            "warnings": [],
            "timings": {"embed": 11.2, "group": 0.4},
        },
    )
    write(
        folder / "select/manifest.json",
        common
        | {
            "stage": "select",
            "fingerprint": "b2" * 32,
            "files": ["selected.jsonl"],
            "n_pool": 2310,
            "n_selected": 1987,
            "warnings": ["11 candidates were near copies of holdout conversations; the generator may have seen them."],
            "timings": {"rank": 6.3},
        },
    )
    write(
        folder / "sweep/manifest.json",
        common
        | {
            "stage": "sweep",
            "fingerprint": "c3" * 32,
            "seeds": [0, 1, 2, 3, 4],
            "inputs": {"train": "d4" * 32},
            "warnings": [],
            "timings": {"fit": 92.8, "predict": 3.1, "statistics": 14.6},
        },
    )
    for stage, reasons in (
        ("select", document.get("rejected", {})),
        ("split", {"leaked_near": 9, "no_text": 3}),
    ):
        path = folder / stage / "rejected.jsonl"
        with path.open("w", encoding="utf-8") as handle:
            for row in rejected_rows(reasons, nasty=nasty):
                handle.write(json.dumps(row, ensure_ascii=False) + "\n")
    return folder


@pytest.fixture
def document():
    """The factory of dose_response.json documents."""
    return make_dose_response


@pytest.fixture
def make_run(tmp_path):
    """The factory of run folders."""

    def make(value=None, **options):
        return write_run(tmp_path / "run", make_dose_response() if value is None else value, **options)

    return make


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """The report of a made-up run, built once for all tests that read it."""
    from posology.report.build import build

    built = {}

    def read(*, sidecars=True, title=None, **options):
        key = (sidecars, title, *sorted(options.items()))
        if key not in built:
            run = tmp_path_factory.mktemp("page")
            write_run(run, make_dose_response(**options), sidecars=sidecars, nasty=options.get("nasty", False))
            built[key] = build(run, title=title)
        return built[key]

    return read
