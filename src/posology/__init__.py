"""posology: how much synthetic data, and which, makes a support bot better on real customers.

import posology
result = posology.sweep("real.jsonl", "synthetic.jsonl", holdout="holdout.jsonl", out="run")
print(result.status, result.dose, result.reason)
result.report()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posology.api import GenerationResult as GenerationResult
    from posology.api import SelectionResult as SelectionResult
    from posology.api import SweepResult as SweepResult
    from posology.api import VerificationResult as VerificationResult
    from posology.api import generate as generate
    from posology.api import leakage as leakage
    from posology.api import select as select
    from posology.api import sweep as sweep
    from posology.api import verify as verify
    from posology.conversations.reading import read as read
    from posology.conversations.writing import write as write
    from posology.errors import PosologyError as PosologyError
    from posology.records import Conversation as Conversation
    from posology.records import Message as Message
    from posology.records import Verdict as Verdict

__version__ = "0.1.0"

_PLACES = {
    "Conversation": "posology.records",
    "GenerationResult": "posology.api",
    "Message": "posology.records",
    "PosologyError": "posology.errors",
    "SelectionResult": "posology.api",
    "SweepResult": "posology.api",
    "Verdict": "posology.records",
    "VerificationResult": "posology.api",
    "generate": "posology.api",
    "leakage": "posology.api",
    "read": "posology.conversations.reading",
    "select": "posology.api",
    "sweep": "posology.api",
    "verify": "posology.api",
    "write": "posology.conversations.writing",
}

__all__ = [
    "Conversation",
    "GenerationResult",
    "Message",
    "PosologyError",
    "SelectionResult",
    "SweepResult",
    "Verdict",
    "VerificationResult",
    "__version__",
    "generate",
    "leakage",
    "read",
    "select",
    "sweep",
    "verify",
    "write",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever is asked for
    """Imports the public names when they are first used, so that `import posology` stays light."""
    if name not in _PLACES:
        raise AttributeError(f"module 'posology' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
