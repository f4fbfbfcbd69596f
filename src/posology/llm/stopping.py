"""How a run of calls ends before its work does: softly, with what is in flight finished and saved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from posology.errors import PosologyError

SAVED = "Every finished call is in the ledger; the same command again goes on where it was."


class Interrupted(PosologyError):
    """The user pressed Ctrl-C, or the process was asked to end."""

    exit_code = 130


class Halted(BaseException):
    """The engine is stopping and this call will not be sent.

    No `Exception`, so that work which survives failed calls does not take it for one; `Engine.map` catches it.
    """


class Stop:
    """Whether the run is over, and why.

    Attributes:
        why: The first reason that was given; None while the run goes on.
        leaving: Tasks that are to send nothing more although the run goes on: whoever wanted their results has left.
    """

    def __init__(self) -> None:
        self.why: BaseException | None = None
        self.leaving: set[asyncio.Task[Any]] = set()
        self._event = asyncio.Event()
        self._told: list[Callable[[], None]] = []

    def tell(self, waker: Callable[[], None]) -> None:
        """Has somebody told when the run is over: whoever waits for something else than `sleep`."""
        self._told.append(waker)

    def because(self, why: BaseException) -> None:
        """Ends the run: nothing more is sent. Of several reasons, the first counts."""
        if self.why is None:
            self.why = why
            self._event.set()
            for waker in self._told:
                waker()

    def check(self) -> None:
        """Lets a call go on.

        Raises:
            Halted: It must not.
        """
        if self.why is not None or (self.leaving and asyncio.current_task() in self.leaving):
            raise Halted

    async def sleep(self, seconds: float) -> None:
        """Waits.

        Raises:
            Halted: The run is over, perhaps only by now.
        """
        self.check()
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        self.check()
