"""What the documentation shows is what the tool does."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_command_line_reference_is_in_step():
    script = ROOT / "docs" / "make_cli_reference.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_trainer_of_the_guide_runs(tmp_path):
    import posology
    from support import talk

    guide = (ROOT / "docs" / "trainers.md").read_text(encoding="utf-8")
    names = {}
    exec(re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[0], names)
    rows = [talk(f"{t}{i}", f"about {t} {i}", t) for t in ("a", "b") for i in range(15)]
    held = [talk(f"h{t}{i}", f"held {t} {i} out", t) for t in ("a", "b") for i in range(8)]
    pool = [talk(f"s{t}{i}", f"made {t} {i} up", t, "synthetic") for t in ("a", "b") for i in range(8)]
    result = posology.sweep(
        rows,
        pool,
        held,
        doses="0.2",
        trainer=names["MajorityTrainer"](),
        out=tmp_path,
        settings={"embedding.encoder": "lexical"},
    )
    assert result.status in {"inconclusive", "no_worse"}
