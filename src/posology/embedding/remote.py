"""Encoders behind a server that speaks the OpenAI embeddings format: OpenAI, vLLM, Ollama, TEI, llama.cpp, ...

Texts leave the machine here, and only here. The key is read from the environment for each request and kept nowhere.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from posology import __version__
from posology.embedding.vectors import ForeignEncoder
from posology.errors import ConfigError, ModelError

OPENAI = "https://api.openai.com/v1"
TEXTS_A_REQUEST = 128
CHARACTERS_A_REQUEST = 200_000
ATTEMPTS = 6
LONGEST_BACKOFF = 30.0
LONGEST_WAIT = 120.0


class OpenAICompatible(ForeignEncoder):
    """A model on a server.

    Args:
        name: The model, as the server calls it.
        base_url: Where the server is, up to and with `/v1`; None for OpenAI.
        api_key_env: The environment variable with its key; a server that wants no key needs none, OpenAI does.
        timeout: Seconds that one request may take to connect, and again to send each part of its answer.
        sleep: Waits between attempts.

    Raises:
        ConfigError: The address is none, or holds credentials.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._key_env = api_key_env
        self._key_needed = base_url is None
        self._url, self._host = _endpoint(OPENAI if base_url is None else base_url)
        self._timeout = timeout
        self._sleep = sleep
        super().__init__(f"openai:{name}@{self._url.removesuffix('/embeddings')}")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, shape (n, dim).

        Raises:
            ModelError: The server refuses, cannot be reached, keeps failing, or answers nonsense.
        """
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        return np.concatenate([self._encode_batch(batch) for batch in _batches(texts)])

    def _encode_batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        body = self._send(json.dumps({"model": self._name, "input": list(texts)}).encode())
        try:
            answer = json.loads(body)
        except ValueError:
            raise ModelError(
                f"{self._host} answered with something other than JSON.",
                remedy="Check base_url: it ends before /embeddings, often with /v1.",
            ) from None
        return self._checked(_vectors(answer), len(texts))

    def _send(self, payload: bytes) -> bytes:
        """One request, tried again while that may help."""
        for attempt in range(ATTEMPTS):
            try:
                return self._request(payload)
            except _TryAgain as again:
                why = again.why
                if again.after is not None and again.after > LONGEST_WAIT:
                    why += f", and asks to wait {again.after:.0f} seconds"
                    break
                if attempt + 1 < ATTEMPTS:
                    self._sleep(min(2.0**attempt, LONGEST_BACKOFF) if again.after is None else again.after)
        raise ModelError(
            f"{self._host} {why}.", remedy="Try again later: vectors that came are cached and not asked for again."
        )

    def _request(self, payload: bytes) -> bytes:
        """One request, once.

        Raises:
            ModelError: Another try would not help.
            _TryAgain: It may.
        """
        request = urllib.request.Request(self._url, data=payload, headers=self._headers(), method="POST")
        opener = urllib.request.build_opener(_NoRedirect)  # a redirect would carry the key to another host
        try:
            with opener.open(request, timeout=self._timeout) as response:
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, _error_code(error), _retry_after(error.headers)) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from None

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": f"posology/{__version__}"}
        key = os.environ.get(self._key_env, "").strip()
        if key:
            if not (key.isascii() and key.isprintable()):  # http.client would quote it in its complaint
                raise ModelError(
                    f"the environment variable {self._key_env} holds characters that no key has.",
                    remedy="Set it again; look for a quotation mark or a line break.",
                )
            headers["Authorization"] = f"Bearer {key}"
        elif self._key_needed:
            raise ModelError(
                f"the environment variable {self._key_env} is not set.", remedy=f"Put the key of {self._host} into it."
            )
        return headers

    def _refusal(self, status: int, code: str, after: float | None) -> Exception:
        said = f"HTTP {status}{code and f', {code}'}"
        if status in (401, 403):
            return ModelError(
                f"{self._host} refuses the key ({said}).", remedy=f"Check the environment variable {self._key_env}."
            )
        if status == 404:
            return ModelError(
                f"{self._host} has no model {self._name!r}, or no embeddings at this address ({said}).",
                remedy="Check the name of the model, and base_url: it ends before /embeddings, often with /v1.",
            )
        if code == "insufficient_quota":
            return ModelError(f"the account at {self._host} is used up ({said}).", remedy="Check its plan and billing.")
        if status in (408, 409, 425, 429) or status >= 500:
            return _TryAgain(f"still refuses after {ATTEMPTS} attempts ({said})", after)
        if 300 <= status < 400:
            return ModelError(
                f"{self._host} sends us to another address ({said}).", remedy="Set base_url to the final one."
            )
        return ModelError(
            f"{self._host} does not accept the request ({said}).",
            remedy="Check the name of the model, and whether a text is longer than it takes.",
        )

    def _broken(self, error: Exception) -> Exception:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ConnectionRefusedError):
            why = "nothing listens there"
        elif isinstance(reason, socket.gaierror):
            why = "its name is not known; is there network?"
        elif isinstance(reason, ssl.SSLCertVerificationError):
            why = "its certificate is not trusted"
        else:
            return _TryAgain(f"does not answer after {ATTEMPTS} attempts ({type(reason).__name__})", None)
        return ModelError(f"{self._host} cannot be reached: {why}.", remedy="Check base_url and the network.")


class _TryAgain(Exception):
    def __init__(self, why: str, after: float | None) -> None:
        super().__init__(why)
        self.why = why
        self.after = after


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def _endpoint(base_url: str) -> tuple[str, str]:
    """The address of the embeddings, and the host that messages name."""
    try:
        parts = urlsplit(base_url.strip())
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(
            "the base_url of the encoder is not an address.", remedy="It starts with https:// or http://."
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "the base_url of the encoder holds credentials.", remedy="Put the key into an environment variable."
        )
    path = f"{parts.path.rstrip('/')}/embeddings"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")), host


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in their order, in batches that a request can carry."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == TEXTS_A_REQUEST or size + len(text) > CHARACTERS_A_REQUEST):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    yield batch


def _vectors(answer: Any) -> list[Any] | None:  # noqa: ANN401 - whatever a server sends
    """The vectors of an answer in the order of the texts, None if they are not all there."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        return None
    places = [item.get("index", position) for position, item in enumerate(data)]
    if not all(isinstance(place, int) for place in places) or sorted(places) != list(range(len(data))):
        return None
    by_place = dict(zip(places, data, strict=True))
    return [by_place[place].get("embedding") for place in range(len(data))]


def _error_code(error: urllib.error.HTTPError) -> str:
    """The short machine-readable code of a refusal; its prose may quote what was sent, and is left out."""
    try:
        details = json.loads(error.read(65_536))["error"]
        code = str(details.get("code") or details.get("type") or "")
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError, AttributeError):
        return ""
    return code if re.fullmatch(r"[A-Za-z][\w.-]{0,48}", code) else ""


def _retry_after(headers: Message) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, section 10.2.3: a number, or a date)."""
    value = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
