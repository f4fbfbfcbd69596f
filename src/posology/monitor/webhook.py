"""Tells a chat channel, in the JSON that Slack's incoming webhooks take, and other services with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from posology.errors import UsageError
from posology.threads import run_to_end

PATIENCE = 10.0  # seconds in all
SHOWN = 5
OF_ROWS = ("rows", "synthetic_rows")  # whose value only counts rules; the note names them, and topics never seen


def check_url(url: str) -> None:
    """Refuses what is no address of a webhook; an address is a secret, so it is never repeated.

    Raises:
        UsageError: It is not http or https, or names no host.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        sound = False
    if not sound:
        raise UsageError("--webhook is not an http or https address.", remedy="Give the whole address, https://...")


def message(result: Mapping[str, Any], run: str) -> dict[str, str]:
    """The message: the verdict and what moved. Names of checks, topics and figures only; no customer's words."""
    moved = [check for check in result["checks"] if check["verdict"] == "drift"]
    n, day = result["batch"]["n"], result["batch"]["day"]
    verdict = {"drift": "*drift*", "ok": "no drift"}.get(result["verdict"], "too little traffic to judge")
    lines = [f"posology: {verdict} in {run}, {n:,} conversations of {day}"]
    for check in moved[:SHOWN]:
        figures = f"{check['value']:.3g}, at most {check['threshold']:.3g} is usual"
        lines.append(f"\u2022 {check['name']}: {check['note'] if check['name'] in OF_ROWS else figures}")
    if len(moved) > SHOWN:
        lines.append(f"\u2022 and {len(moved) - SHOWN} more")
    return {"text": "\n".join(lines)}


def post(url: str, payload: Mapping[str, Any]) -> str | None:
    """Sends a message, waiting no longer than `PATIENCE`.

    Returns:
        None if it was taken, else what went wrong; without the address, which is a secret.
    """
    check_url(url)
    return run_to_end(_post(url, payload))


async def _post(url: str, payload: Mapping[str, Any]) -> str | None:
    import aiohttp

    limit = aiohttp.ClientTimeout(total=PATIENCE)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.post(url, json=payload, allow_redirects=False) as answer,
        ):
            return None if answer.status < 300 else f"it answered with status {answer.status}"
    except TimeoutError:
        return f"no answer within {PATIENCE:g} seconds"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"it cannot be reached ({type(error).__name__})"
