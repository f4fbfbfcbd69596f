"""Who finds personal data in a text: the built-in patterns, or Presidio behind the same interface."""

from __future__ import annotations

import importlib.util
import pkgutil
from typing import Any

from posology.conversations.masking import Finder, Found, find
from posology.errors import ExtraMissing, ModelError, UsageError

#: Presidio's names for what the built-in patterns find too; other entities keep their name in lower case.
_KIND_OF = {
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "PERSON": "name",
    "US_SSN": "national_id",
    "UK_NINO": "national_id",
    "UK_NHS": "national_id",
    "US_BANK_NUMBER": "account",
}
#: What is no datum about one person; and addresses of mail and pages, which the built-in patterns find, while presidio
#: would ask the network for the domains that there are.
_NOT_ASKED = frozenset({"DATE_TIME", "NRP", "LOCATION", "ORGANIZATION", "EMAIL_ADDRESS", "URL"})
SURE = 0.5
_SIZES = ("trf", "lg", "md", "sm")
_INSTALL = "Install one: python -m spacy download en_core_web_sm."


def make_finder(name: str = "builtin") -> Finder:
    """The detector of personal data by its name in the settings: `builtin` or `presidio`.

    Raises:
        UsageError: There is no such detector.
        ExtraMissing: Presidio is not installed.
        ModelError: Presidio is there, and the language model that it needs is not.
    """
    if name == "builtin":
        return find
    if name == "presidio":
        return _presidio()
    raise UsageError(f"there is no detector {name!r} of personal data.", remedy="Choose builtin or presidio.")


def _presidio() -> Finder:
    """Presidio's analyzer with what the built-in patterns find: order numbers are unknown to it."""
    if importlib.util.find_spec("presidio_analyzer") is None:
        raise ExtraMissing("presidio-analyzer", "presidio")
    from presidio_analyzer import AnalyzerEngine

    # Left alone, presidio fetches a language model from the network, unasked.
    analyzer: Any = AnalyzerEngine(nlp_engine=_language_model(), supported_languages=["en"])

    asked = sorted(set(analyzer.get_supported_entities(language="en")) - _NOT_ASKED)

    def both(text: str) -> list[Found]:
        found = find(text)
        for result in analyzer.analyze(text=text, language="en", entities=asked, score_threshold=SURE):
            if all(result.end <= other.start or other.end <= result.start for other in found):
                kind = _KIND_OF.get(result.entity_type, result.entity_type.lower())
                found.append(Found(kind, result.start, result.end))
        return sorted(found, key=lambda value: value.start)

    return both


def _language_model() -> Any:  # noqa: ANN401 - presidio is untyped here
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    installed = {module.name for module in pkgutil.iter_modules() if module.name.startswith("en_core_web_")}
    best = next((f"en_core_web_{size}" for size in _SIZES if f"en_core_web_{size}" in installed), None)
    name = best or min(installed, default=None)
    if name is None:
        raise ModelError("presidio has no English language model of spaCy to work with.", remedy=_INSTALL)
    models = [{"lang_code": "en", "model_name": name}]
    return NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
