"""The safety brake: who deletes nearly everything in one folder by mistake doesn't do so elsewhere.

It judges whole scans. What it holds back isn't remembered: the next scan finds it again, so its
memory is bounded, and what a person has decided is carried out by the scan that follows.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from .words import Fault

SMALL = 20
MINUTE_S = 60
SAMPLE_MAX = 20


class Brake:
    """Counts removals that others would follow."""

    def __init__(self, service: dict[str, Any]) -> None:
        share = service["options"].get("max_delete")
        self._is_backup, self._name = service["mode"] == "backup", service["name"]
        self._most: dict[str, int] | None = share
        self._told: deque[tuple[float, int]] = deque()
        self._ordered: deque[tuple[float, int]] = deque()
        self.held: dict[str, int] | None = None
        self._sample: list[dict[str, Any]] = []
        self._bytes = 0
        self._verdict: tuple[str, int] | None = None

    @staticmethod
    def _recent(counts: deque[tuple[float, int]]) -> int:
        while counts and counts[0][0] < time.monotonic() - MINUTE_S:
            counts.popleft()
        return sum(count for _, count in counts)

    def ordered_removal(self) -> None:
        """An order removed a file: others did so first, and the service was larger before."""
        self._ordered.append((time.monotonic(), 1))

    def judge(self, lost: list[tuple[str, int]], files: int) -> str:
        """What to do with files (and their sizes) that a scan found gone of so many it knew.

        `tell`, `hold`, or `bring_back`.
        """
        count, told = len(lost), self._recent(self._told)
        verdict, self._verdict = self._verdict, None
        if verdict is not None and count <= verdict[1]:
            self.held = None
            return "tell" if verdict[0] == "approve" else "bring_back"
        of = files + told + self._recent(self._ordered)
        # What is held stays so until it is back, or a person has decided.
        is_held = self.held is not None and count > 0
        if self._is_backup or not (is_held or self._is_exceeded(count, told, of)):
            self.held = None
            if count:
                self._told.append((time.monotonic(), count))
            return "tell"
        self.held = {"removed": count, "changed": 0, "of": of}
        self._bytes = sum(size for _, size in lost)
        told_of = lost[:SAMPLE_MAX]
        self._sample = [{"path": path, "change": "removed", "size": size} for path, size in told_of]
        return "hold"

    def _is_exceeded(self, count: int, told: int, of: int) -> bool:
        """As `max_delete` says: more than half of more than twenty, if it says nothing."""
        if count == 0:
            return False
        if self._most is None:
            return of > SMALL and (count + told) * 100 > 50 * of
        if "percent" in self._most:
            return (count + told) * 100 > self._most["percent"] * of
        return count + told > self._most["count"]

    def reason(self) -> str | None:
        """What a person should know."""
        if self.held is None:
            return None
        count, of, name = self.held["removed"], self.held["of"], self._name
        return (
            f"{count} of {of} files were removed here: nothing is removed elsewhere until you "
            f"decide: `onitu approve {name}`, or `onitu approve {name} --reject` to bring them back"
        )

    def answer(self, asked: dict[str, Any]) -> Any:
        """What is held, or that a decision was taken; to be repeated freely."""
        if self.held is None:
            raise Fault("not_found", "nothing is held back here: there is nothing to decide")
        verdict, seen = asked.get("verdict"), asked.get("seen")
        if verdict is None:
            review = {"held": self.held, "removed_bytes": self._bytes, "sample": self._sample}
            return {"held": {**review, "changed_bytes": 0, "directories": []}}
        if seen is not None and self.held["removed"] > seen["removed"]:
            raise Fault("changed", "more is held by now than was shown: look again")
        self._verdict = (verdict, self.held["removed"])
        return "done"
