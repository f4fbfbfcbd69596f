"""Which ids has a file had so far? In about 24 bytes a row, so that a million rows can be streamed."""

from __future__ import annotations

from array import array

_WORD = (1 << 64) - 1


class SeenIds:
    """Remembers the line on which each id first stood.

    An open-addressing table of 64-bit hashes and 32-bit lines, at most half full: 12 bytes a slot, where a dict of
    texts takes ten times that. Two different ids share a hash in one of 37 million files of a million rows.
    """

    def __init__(self) -> None:
        self._used = 0
        self._make(1 << 12)

    def add(self, identifier: str, line: int) -> int | None:
        """Notes an id.

        Returns:
            The line on which it already stood, None if it is new.
        """
        if 2 * self._used >= self._mask:
            self._grow()
        key = hash(identifier) & _WORD or 1
        slot = self._slot(key)
        if self._keys[slot]:
            return self._lines[slot]
        self._keys[slot] = key
        self._lines[slot] = line
        self._used += 1
        return None

    def _make(self, size: int) -> None:
        self._mask = size - 1
        self._keys = array("Q", bytes(8 * size))
        self._lines = array("I", bytes(4 * size))

    def _slot(self, key: int) -> int:
        """Where the key stands, or the free slot where it belongs."""
        keys, mask = self._keys, self._mask
        slot = key & mask
        while keys[slot] and keys[slot] != key:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, lines = self._keys, self._lines
        self._make(2 * len(keys))
        for key, line in zip(keys, lines, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot], self._lines[slot] = key, line
