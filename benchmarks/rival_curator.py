"""Bespoke Curator (bespokelabs-curator on PyPI) at the same work; `rivals.py` starts it with Curator's own interpreter.

CURATOR_PYTHON benchmarks/rival_curator.py URL CALLS IN_FLIGHT FOLDER
"""

import importlib.util
import os
import sys
from pathlib import Path

# It looks up its tokenizer on the network, although LiteLLM, which comes with it, has it.
litellm = importlib.util.find_spec("litellm")
if litellm is not None and litellm.origin is not None:
    tokenizers = Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(tokenizers))


def main(url: str, calls: int, in_flight: int, folder: Path) -> None:
    """Asks, and writes one row a reply; its cache, in the folder, is the counterpart of our ledger."""
    from bespokelabs import curator
    from datasets import Dataset

    class Writer(curator.LLM):
        def prompt(self, row: dict[str, str]) -> str:
            return row["prompt"]

        def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
            return {"prompt": row["prompt"], "text": response}

    settings = {
        "base_url": url,
        "api_key": "none",
        "max_requests_per_minute": 10_000_000,
        "max_tokens_per_minute": 10_000_000_000,
        "max_concurrent_requests": in_flight,
    }
    text = "Write customer-support conversation number {} about billing as one JSON object with a list of messages."
    prompts = Dataset.from_list([{"prompt": text.format(i)} for i in range(calls)])
    writer = Writer(model_name="gpt-4o-mini", backend="openai", backend_params=settings)
    writer(prompts).dataset.to_json(str(folder / "rows.jsonl"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
