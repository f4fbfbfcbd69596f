"""JSON over HTTP to a model's server, and the one place where a server's refusals get a meaning.

Keys are read from the environment when the first request is sent, and kept in the session's headers alone: never in a
message, a raw reply or the ledger. A provider's prose may quote what was sent; messages carry its short codes only.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from posology import __version__
from posology.errors import ConfigError
from posology.llm.calls import RAW_LIMIT, well_formed
from posology.llm.contract import ErrorKind, ModelCallError
from posology.llm.jsonbytes import decoded, encoded

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

CONNECT_TIMEOUT = 30.0
CHECK_TIMEOUT = 5.0

_TOO_LONG = re.compile(
    r"context_length|context length|context window|exceed_context|(?:prompt|input) is too long|request too large",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"content_filter|content_policy|content management policy|responsibleai|data_inspection_failed|flagged"
    r"|safety[ _](?:system|polic|filter|violation)",
    re.IGNORECASE,
)
_USED_UP = re.compile(r"insufficient_quota|insufficient[ _]balance|credit balance|billing", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent.

    Attributes:
        status: HTTP.
        value: The body as JSON; None if it is none.
        body: As it came; it may echo a key, see `Wire.redacted`.
        retry_after: Seconds that it asked to wait.
        latency: Seconds.
    """

    status: int
    value: Any
    body: bytes
    retry_after: float | None
    latency: float

    @property
    def details(self) -> Mapping[str, Any]:
        """The `error` object that servers of both formats send; empty if there is none."""
        error = self.value.get("error") if isinstance(self.value, dict) else None
        return error if isinstance(error, dict) else {"message": error} if isinstance(error, str) else {}

    @property
    def code(self) -> str:
        """The short machine-readable code or type of an error; prose is left out."""
        code = str(self.details.get("code") or self.details.get("type") or "")
        return code if re.fullmatch(r"[A-Za-z][\w.-]{0,48}", code) else ""

    @property
    def said(self) -> str:
        """Code, type and message of an error, to look for patterns in."""
        return " ".join(str(self.details.get(name) or "") for name in ("code", "type", "message"))


class Wire:
    """Posts JSON to one address. The session belongs to the event loop that first used it.

    Args:
        base_url: The API's address, with or without a query.
        path: Appended to its path.
        key_env: The environment variable with the key.
        key_header: The header that carries it; `Authorization` gets `Bearer` before it.
        key_needed: Whether the server certainly wants one.
        headers: Further headers.

    Raises:
        ConfigError: The address is none, or holds credentials.
    """

    def __init__(
        self,
        base_url: str,
        path: str,
        *,
        key_env: str,
        key_header: str = "Authorization",
        key_needed: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.base, self._address = _addresses(base_url, path)
        self.key_env = key_env
        self._key_header = key_header
        self._key_needed = key_needed
        self._headers = {"User-Agent": f"posology/{__version__}", "Content-Type": "application/json", **(headers or {})}
        self._key = ""
        self._url: URL | None = None
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, payload: Mapping[str, Any]) -> Answer:
        """Sends one request, once.

        Raises:
            ModelCallError: No key, no connection, or the connection broke; what the server says is not judged here.
        """
        import aiohttp

        session = self._open()
        assert self._url is not None
        start = time.perf_counter()
        try:
            async with session.post(self._url, data=encoded(payload), allow_redirects=False) as response:
                body = await response.read()
                return self._answer(response.status, body, response.headers, time.perf_counter() - start)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from None

    async def vouches(self, path: str) -> bool:
        """Whether the server answers 200 to a GET with the key; anything else proves nothing, and nor does a web page.

        Raises:
            ModelCallError: The key is not set.
        """
        import aiohttp

        session = self._open()
        try:
            limit = aiohttp.ClientTimeout(total=CHECK_TIMEOUT)
            async with session.get(self.base + path, timeout=limit, allow_redirects=False) as response:
                return response.status == 200 and response.content_type != "text/html"
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def refusal(self, answer: Answer, model: str) -> ModelCallError:
        """What an answer other than a reply means."""
        kind = kind_of(answer)
        status = f"HTTP {answer.status}{answer.code and f', {answer.code}'}"
        if answer.status == 200 or (answer.value is None and kind == "malformed"):
            status = "HTML" if answer.body.lstrip()[:1] == b"<" else "something other than a reply"
        cause, remedy = self._wording(kind, status, model, bool(_USED_UP.search(answer.said)))
        return ModelCallError(
            cause, kind=kind, retry_after=answer.retry_after, raw=self.redacted(answer.body), remedy=remedy
        )

    def _wording(self, kind: ErrorKind, status: str, model: str, used_up: bool) -> tuple[str, str]:
        address = "Check the name of the model, and base_url: it often ends with /v1."
        texts: dict[ErrorKind, tuple[str, str]] = {
            "auth": (f"{self.base} refuses the key ({status}).", f"Check the environment variable {self.key_env}."),
            "not_found": (f"{self.base} has no model {model!r}, or no chat at this address ({status}).", address),
            "rate_limited": (f"{self.base} says that the rate limit is reached ({status}).", "Allow fewer a minute."),
            "overloaded": (f"{self.base} fails or is overloaded ({status}).", "Try again later."),
            "timeout": (f"{self.base} gave up waiting for its model ({status}).", "Try again later."),
            "refused": (f"{self.base} refuses the content ({status}).", ""),
            "context_too_long": (f"the request is longer than {model!r} takes ({status}).", "Shorten the prompt."),
            "malformed": (
                f"{self.base} answered with {status}.",
                "Check base_url, which often ends with /v1; the ledger keeps what it sent.",
            ),
        }
        if kind == "auth" and used_up:
            return f"the account at {self.base} is used up ({status}).", "Check its plan and billing."
        return texts[kind]

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp
        from yarl import URL

        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed or self._loop is not loop:
            self._url = URL(self._address)
            self._loop = loop
            self._session = aiohttp.ClientSession(
                headers={**self._headers, **self._credentials()},
                connector=aiohttp.TCPConnector(limit=0),  # the engine bounds what is in flight
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),  # and how long
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=bool(urllib.request.getproxies()),
            )
        return self._session

    def _credentials(self) -> dict[str, str]:
        self._key = os.environ.get(self.key_env, "").strip()
        if not self._key:
            if self._key_needed:
                raise ModelCallError(
                    f"the environment variable {self.key_env} is not set.",
                    kind="auth",
                    remedy=f"Put the key for {self.base} into it.",
                )
            return {}
        if not (self._key.isascii() and self._key.isprintable()):
            raise ModelCallError(
                f"the environment variable {self.key_env} holds characters that no key has.",
                kind="auth",
                remedy="Set it again; look for a quotation mark or a line break.",
            )
        return {self._key_header: f"Bearer {self._key}" if self._key_header == "Authorization" else self._key}

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str], latency: float) -> Answer:
        try:
            value = decoded(body)
        except (ValueError, RecursionError):
            value = None
        wait = headers.get("Retry-After")
        return Answer(status, value, body, None if wait is None else retry_after(wait), latency)

    def redacted(self, body: bytes) -> str:
        """At most 4 kB of what the server sent, without the key that some of them echo."""
        text = body[: 2 * RAW_LIMIT].decode("utf-8", "replace")
        text = text.replace(self._key, "***") if self._key else text
        return well_formed(text[:RAW_LIMIT])

    def _unreachable(self, error: Exception) -> ModelCallError:
        import aiohttp

        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
            why = "its certificate is not trusted"
        elif isinstance(error, aiohttp.ClientConnectorDNSError):
            why = "its name is not known; is there network?"
        elif isinstance(error, aiohttp.ClientConnectorError):
            why = "nothing listens there"
        else:
            why = f"the connection broke ({type(error).__name__})"
        return ModelCallError(
            f"{self.base} cannot be reached: {why}.",
            kind="connection",
            remedy="Check base_url, and that the server runs.",
        )


def kind_of(answer: Answer) -> ErrorKind:
    """The kind of error that an answer is."""
    said, status = answer.said, _status(answer)
    if status in (400, 403, 422) and _REFUSED.search(said):
        return "refused"
    if status in (401, 402, 403) or (_USED_UP.search(said) and status in (400, 429)):
        return "auth"
    if _TOO_LONG.search(said) or status == 413:
        return "context_too_long"
    if status in (404, 405) or 300 <= status < 400:
        return "not_found"
    if status == 429:
        return "rate_limited"
    if status in (408, 504):
        return "timeout"
    if status >= 500 or status in (409, 425):
        return "overloaded"
    return "malformed"


def _status(answer: Answer) -> int:
    """The status; some servers answer 200 and put the true one into the error's code."""
    code = answer.details.get("code")
    return code if answer.status == 200 and isinstance(code, int) else answer.status


def retry_after(value: str) -> float | None:
    """Seconds that a server asks to wait (RFC 9110, section 10.2.3: a number, or a date)."""
    value = value.strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _addresses(base_url: str, path: str) -> tuple[str, str]:
    """What messages and the ledger name (no query, which may hold a secret), and where requests go."""
    try:
        parts = urlsplit(base_url.strip())
        well = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well = False
    if not well:
        raise ConfigError("the base_url of the model is not an address.", remedy="It starts with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "the base_url of the model holds credentials.", remedy="Put the key into an environment variable."
        )
    base = parts.path.rstrip("/").removesuffix(path)
    named = urlunsplit((parts.scheme, parts.netloc, base, "", ""))
    return named, urlunsplit((parts.scheme, parts.netloc, base + path, parts.query, ""))
