"""What a variant was trained on, rebuilt from the run folder."""

import json

import pytest

import posology
from monitor_support import SETTINGS, customers
from posology.errors import StoreError
from posology.observing import Observer
from posology.training.head import HeadTrainer
from support import talk


def trained(monkeypatch):
    """What every training is given from now on, by kind."""
    seen, fit = {}, HeadTrainer.fit

    def watched(self, mixture):
        if mixture.synthetic:
            seen[mixture.kind] = [c.id for c in mixture.conversations]
        return fit(self, mixture)

    monkeypatch.setattr(HeadTrainer, "fit", watched)
    return seen


def test_what_each_kind_of_variant_learned_from_is_rebuilt(tmp_path, monkeypatch):
    pool = [talk(f"s{i}", f"so {c.messages[0].content}", c.topic, "synthetic") for i, c in enumerate(customers(80, 9))]
    seen = trained(monkeypatch)
    settings = SETTINGS | {"select.keep_rate": 0.4, "mix.controls": True}
    run = tmp_path / "run"
    posology.sweep(customers(60, 0), pool, customers(30, 1), doses="0.3", seeds=1, out=run, settings=settings)
    index = json.loads((run / "sweep" / "variants.json").read_text(encoding="utf-8"))["variants"]
    keys = {row["kind"]: row["variant"] for row in index if row["dose"] > 0}
    assert set(keys) == set(seen) == {"selected", "random"}
    for kind, key in keys.items():
        assert [c.id for c in Observer(run, key).training] == seen[kind]
    selected = {c.id for c in Observer(run, keys["random"]).pool}
    assert not selected.issuperset(name for name in seen["random"] if name.startswith("s"))
    place = run / "inputs" / "synthetic.jsonl"
    place.write_text("\n".join(place.read_text(encoding="utf-8").splitlines()[::-1]) + "\n", encoding="utf-8")
    assert Observer(run, keys["selected"]).training
    for _ in range(2):
        with pytest.raises(StoreError, match="no longer"):
            Observer(run, keys["random"]).training  # noqa: B018
        place.unlink(missing_ok=True)
