"""Who may import whom; see docs/architecture.md."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import posology

ROOT = Path(posology.__file__).parent
LAYERS = [
    {"records", "errors", "fingerprint", "progress", "threads"},
    {"config", "store", "models"},
    {"embedding", "linear", "matching", "conversations", "llm"},
    {
        "gaps",
        "generation",
        "verification",
        "selection",
        "mixture",
        "training",
        "evaluation",
        "collapse",
        "monitor",
        "report",
    },
    {
        "inputs",
        "leaking",
        "favouring",
        "apart",
        "ranking",
        "choosing",
        "selecting",
        "planning",
        "answering",
        "asking",
        "harvest",
        "jury",
        "hearing",
        "judging",
        "settling",
        "outcomes",
        "labelling",
        "calibrating",
        "verifying",
        "generating",
        "flow",
        "sweeping",
        "collapsing",
        "continuing",
        "recursing",
        "screening",
        "narrowing",
        "observing",
        "weekly",
        "monitoring",
        "swept",
        "exporting",
        "bot",
        "projects",
        "demo",
        "prints",
        "pipeline",
    },
    {"api", "cli"},
]
STAGES = LAYERS[3]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports_of(file):
    """Top-level names under posology that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "posology":
            names = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            yield from (name for name in names if not name.startswith("__"))
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("posology."))


def part_of(file):
    first = file.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def test_imports_point_downwards_and_stages_never_meet():
    wrong = []
    for file in ROOT.rglob("*.py"):
        own = part_of(file)
        if own in ("__init__", "__main__"):
            continue
        for name in imports_of(file):
            if LEVEL[name] > LEVEL[own] or (own in STAGES and name in STAGES and name != own):
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_every_module_has_a_place():
    parts = {part_of(f) for f in ROOT.rglob("*.py")} - {"__init__", "__main__"}
    assert parts == set(LEVEL)


def test_nothing_heavy_is_imported_early():
    heavy = {
        "pandas",
        "sklearn",
        "scipy",
        "onnxruntime",
        "great_expectations",
        "torch",
        "faiss",
        "pyarrow",
        "aiohttp",
        "genai_prices",
        "xllamacpp",
    }
    code = "import json, sys, {0}; print(json.dumps(sorted(m for m in sys.modules if '.' not in m)))"
    for module in ("posology", "posology.cli.main"):
        done = subprocess.run([sys.executable, "-c", code.format(module)], capture_output=True, text=True, check=True)
        assert not heavy & set(json.loads(done.stdout)), module


def test_modules_stay_readable():
    long = {f.name: n for f in ROOT.rglob("*.py") if (n := len(f.read_text(encoding="utf-8").splitlines())) > 450}
    assert not long
