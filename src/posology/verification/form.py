"""Form: defects that show in the turns alone, held against what real conversations do.

A detector that fires on real conversations too says nothing of a candidate: where more than 1 % of them show a "defect"
(agents who write lists, customers who send two messages in a row), it is unscored for all candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from posology.conversations import defects
from posology.records import Conversation, Finding

USUAL = 0.01  # share of real conversations from where on a defect is a habit
DETECTORS: Mapping[str, defects.Detector] = MappingProxyType(
    {
        "roles": defects.roles,
        "empty_turn": defects.empty_turn,
        "repeated_turn": defects.repeated_turn,
        "placeholder": defects.placeholder,
        "disclaimer": defects.disclaimer,
        "meta_talk": defects.meta_talk,
        "markup": defects.markup,
    }
)


class Form:
    """One check of form.

    Args:
        name: One of `DETECTORS`.
        real: Real training conversations, which say what is usual.
    """

    def __init__(self, name: str, real: Sequence[Conversation]) -> None:
        self.name = name
        self._detector = DETECTORS[name]
        self.usual = sum(self._detector(c.messages) is not None for c in real) / max(1, len(real))

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate."""
        if self.usual > USUAL:
            said = f"{self.usual:.1%} of real conversations do so too"
            return [Finding(self.name, "unscored", detail=said)] * len(candidates)
        found = (self._detector(candidate.messages) for candidate in candidates)
        return [Finding(self.name, "fail" if said else "pass", detail=said or "") for said in found]
