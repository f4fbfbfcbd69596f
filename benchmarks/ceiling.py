"""How much of what real labels would have bought does the pool recover, dose by dose?

    POSOLOGY_DATA=... python benchmarks/ceiling.py

Two sweeps on BANKING77 with the same counts: one with the frontier pool, one with *real* messages in its place (weight
1, ranked in the same way). The only reader of `real_rest.jsonl`.
"""

import os
import tempfile
from pathlib import Path

import posology

DOSES = [0.05, 0.1, 0.2, 0.3, 0.5]


def accuracies(result: posology.SweepResult) -> dict[tuple[float, str], float]:
    """Accuracy by dose and kind."""
    return {(arm["dose"], arm["kind"]): arm["accuracy"]["mean"] for arm in result.arms}


def main() -> None:
    """Runs both sweeps and prints the share of the ceiling's gain."""
    data = Path(os.environ["POSOLOGY_DATA"]) / "banking77"
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, pool, weight in (("pool", "synthetic/frontier.jsonl", 0.4), ("ceiling", "real_rest.jsonl", 1.0)):
            result = posology.sweep(
                data / "real.jsonl",
                data / pool,
                data / "test.jsonl",
                doses=DOSES,
                out=Path(folder, name),
                settings={"mix.synthetic_weight": weight, "sweep.learning_curve": False},
            )
            found[name] = accuracies(result)
    base = found["pool"][0.0, "selected"]
    print(f"dose 0: {base:.4f}")
    print(" dose   pool selected   random   real labels (ceiling)   share of the ceiling's gain: selected, random")
    for dose in DOSES:
        selected, random = (found["pool"][dose, kind] for kind in ("selected", "random"))
        ceiling = found["ceiling"][dose, "selected"]
        shares = [100 * (x - base) / (ceiling - base) for x in (selected, random)]
        print(f"{dose:5.2f} {selected:15.4f} {random:8.4f} {ceiling:23.4f}   {shares[0]:6.0f} %   {shares[1]:6.0f} %")


if __name__ == "__main__":
    main()
