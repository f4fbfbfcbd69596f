"""How often the monitor cries wolf, and what it sees, on real support traffic; and what one check costs.

    POSOLOGY_DATA=... python benchmarks/monitor_power.py [windows per fault]

Windows are 200 conversations of unlabelled airline traffic; each of ten random halves of it is the reference of twenty
disjoint weeks of the other half. The statistics are called without Great Expectations; the cost is that of whole
commands, with it. The shift of mood is drawn by the scores of VADER, an instrument of its own (pip install
vaderSentiment; without it that line is left out). Leaves with 1 if a promise is broken.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path

import numpy as np

import posology
from posology.monitor.baseline import learned
from posology.monitor.checks import NAMES, Reference
from posology.monitor.windows import Window
from posology.observing import Observer
from posology.records import Mixture
from posology.training.head import HeadTrainer
from posology.weekly import LOSS_RATE, RATE, paired_loss

SIZE, HALVES, WEEKS = 200, 10, 20


def joined(first, second):
    """Two windows in one."""

    def both(name):
        one, other = getattr(first, name), getattr(second, name)
        if isinstance(one, dict):
            return {key: np.concatenate([one[key], other[key]]) for key in one}
        return np.concatenate([one, other])

    return Window(**{field.name: both(field.name) for field in fields(Window)})


def richer(rng, rows, flags, share):
    """SIZE of the rows, so many of them flagged that their share is about `share`."""
    n = rng.binomial(SIZE, min(share, 1.0))
    return np.r_[rng.choice(rows[flags], n, replace=False), rng.choice(rows[~flags], SIZE - n, replace=False)]


def faults(rng, traffic, rest, other, mood):
    """Windows with a fault, by its name."""
    topics = traffic.topics[rest]
    names, counts = np.unique(topics, return_counts=True)
    for rank, place in enumerate(np.argsort(-counts)[:8]):
        share = counts[place] / len(topics)
        name = f"topic of {share:.0%} doubled" if rank else f"largest topic ({share:.0%}) doubled"
        yield name, traffic.take(richer(rng, rest, topics == names[place], 2 * share))
    for percent in (20, 10):
        n = SIZE * percent // 100
        kept = traffic.take(rng.choice(rest, SIZE - n, replace=False))
        yield f"{percent} % of another domain", joined(kept, other.take(rng.choice(len(other), n, replace=False)))
    if mood is not None:
        negative = mood[rest] <= -0.05
        share = negative.mean()
        yield "negative mood doubled", traffic.take(richer(rng, rest, negative, 2 * share))
        yield "negative mood +20 points", traffic.take(richer(rng, rest, negative, share + 0.2))


def vader(texts):
    """Compound scores, shape (n,); None without the package."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return None
    judge = SentimentIntensityAnalyzer()
    return np.array([judge.polarity_scores(text)["compound"] for text in texts])


def traffic_power(observer, data, per_fault):
    """Shares of windows with an alarm, by fault."""
    conversations = posology.read(data / "twacs" / "unlabelled.jsonl", require_topic=False).conversations
    traffic = observer.window(conversations)
    other = observer.window(posology.read(data / "banking77" / "test.jsonl").conversations)
    mood = vader([observer.config.text.rule.text(c) for c in conversations])
    found, by_check = {}, {}

    def note(name, window, reference, calibration):
        values = reference.measure(window)
        alarms = [check for check in NAMES if values[check] > calibration.threshold(check)]
        found.setdefault(name, []).append(bool(alarms))
        for check in alarms:
            counts = by_check.setdefault(name, dict.fromkeys(NAMES, 0))
            counts[check] += 1

    for half in range(HALVES):
        rng = np.random.default_rng(half)
        order = rng.permutation(len(traffic))
        rest = order[len(order) // 2 :]
        reference = Reference(traffic.take(np.sort(order[: len(order) // 2])), observer.norms)
        calibration = learned(reference, SIZE, RATE)
        for week in range(WEEKS):
            note("healthy", traffic.take(rest[week * SIZE : (week + 1) * SIZE]), reference, calibration)
        for _ in range(-(-per_fault // HALVES)):
            for name, window in faults(rng, traffic, rest, other, mood):
                name = name if "largest" not in name else "largest topic doubled"
                note(name, window, reference, calibration)
    for name, alarms in found.items():
        seen = sorted(by_check.get(name, {}).items(), key=lambda item: -item[1])
        by = ", ".join(f"{check} {n}" for check, n in seen[:4] if n)
        print(f"{name:28} {sum(alarms):4} of {len(alarms):4} = {np.mean(alarms):6.1%}   {by}", flush=True)
    return {name: float(np.mean(alarms)) for name, alarms in found.items()}


def accuracy_power(observer, data, trials):
    """Shares of holdouts of 200 on which a loss of ten points, and none, is an alarm."""
    real = posology.read(data / "banking77" / "real.jsonl").conversations
    test = posology.read(data / "banking77" / "test.jsonl").conversations
    trainer = HeadTrainer(observer.embedder)
    trainer.prepare(real)
    truth = np.array([c.topic for c in test])

    def right(rows):
        variant = trainer.fit(Mixture(0.0, "selected", "augment", 0, tuple(rows), ()))
        return np.array(variant.predict(test).best) == truth

    before = right(real)
    order = np.random.default_rng(0).permutation(len(real))
    low, high = 50, len(real)  # how many rows leave a variant ten points worse
    found = [before]
    while high - low > 2:
        middle = (low + high) // 2
        found.append(right([real[i] for i in order[:middle]]))
        low, high = (middle, high) if before.mean() - found[-1].mean() > 0.1 else (low, middle)
    found += [right([real[i] for i in order[:n]]) for n in range(low - 12, low + 13)]  # it does not fall evenly
    after = min(found, key=lambda answers: abs(before.mean() - answers.mean() - 0.1))
    print(f"accuracy {before.mean():.3f} to {after.mean():.3f}, {(before != after).mean():.0%} of answers change sides")
    rng, lost, equal = np.random.default_rng(1), [], []
    for _ in range(5 * trials):
        rows = rng.choice(len(test), SIZE, replace=False)
        swap = rng.random(SIZE) < 0.5  # either variant is as likely to be the better one on each conversation
        pair = np.array([[after[rows]], [before[rows]]])
        fair = np.where(swap, pair[::-1], pair)
        for kept, correct in ((lost, pair), (equal, fair)):
            loss, _, most, _ = paired_loss(correct, np.arange(SIZE, dtype=np.int32), rate=LOSS_RATE * RATE)
            kept.append(loss > most)
    for name, alarms in (("ten points lost", lost), ("another variant, as good", equal)):
        print(f"{name:28} {sum(alarms):4} of {len(alarms):4} = {np.mean(alarms):6.1%}", flush=True)
    return float(np.mean(lost)), float(np.mean(equal))


def cost(run, data, folder):
    """Seconds and megabytes of one `monitor check` after `init`, so that Python has compiled what it imports."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    lines = (data / "twacs" / "unlabelled.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "reference.jsonl").write_text("".join(lines[:4000]), encoding="utf-8")
    (folder / "week.jsonl").write_text("".join(lines[-SIZE:]), encoding="utf-8")
    base = [sys.executable, "-m", "posology", "monitor"]
    start = time.perf_counter()
    subprocess.run(
        [*base, "init", run, "--traffic", folder / "reference.jsonl", "-q"],
        check=True,
        capture_output=True,
        env=environment,
    )
    begun = time.perf_counter() - start
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*base, "check", run, "--traffic", folder / "week.jsonl", "--json", "-q"], capture_output=True, env=environment
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    megabytes = after.ru_maxrss / 1e3
    print(
        f"init {begun:.1f} s; one check with Great Expectations and Data Docs {seconds:.1f} s "
        f"({used:.1f} s of processor), most memory of the two {megabytes:.0f} MB; "
        f"drifted: {json.loads(done.stdout)['drifted']}"
    )
    return seconds, used, megabytes


def main() -> int:
    """Measures and compares with what is promised."""
    data, per_fault = Path(os.environ["POSOLOGY_DATA"]), int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        posology.sweep(
            data / "twacs" / "labelled.jsonl",
            out=folder / "run",
            settings={"split.holdout_size": 100, "sweep.learning_curve": False},
        )
        observer = Observer(folder / "run")
        alarms = traffic_power(observer, data, per_fault)
        lost, equal = accuracy_power(observer, data, per_fault)
        seconds, _, megabytes = cost(folder / "run", data, folder)
    promised = ("largest topic doubled", "20 % of another domain", "negative mood doubled")
    kept = alarms["healthy"] <= 0.05 and equal <= 0.05 and lost >= 0.95 and seconds <= 20 and megabytes <= 1000
    return int(not kept or any(alarms.get(name, 1.0) < 0.95 for name in promised))


if __name__ == "__main__":
    sys.exit(main())
