"""Out: what was seen leaves as numbered events, and is kept until the Referee has committed it.

Together with the store, the ring says what this service is known to hold. It is bounded: who
announces waits while it is full.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from itertools import islice
from typing import Any

from .words import (
    BATCH_EVENTS_MAX,
    REPLAY_EVENTS_MAX,
    RING_EVENTS_MAX,
    SHARDS,
    Fault,
    parent_of,
    shard_of,
)

Event = dict[str, dict[str, Any]]
UNKNOWN = object()
"""Nothing that isn't committed yet tells of a path."""


def path_of(event: Event) -> str:
    """The path an event speaks of."""
    return str(next(iter(event.values()))["path"])


def next_epoch(known: int) -> int:
    """An incarnation later than the known one, and than any other as far as the clock tells."""
    by_clock = time.time_ns() // 1_000_000 << 10
    return by_clock if by_clock > known else known + 1 + (by_clock & 0x3FFF_FFFF)


class _Stream:
    """The events of one shard: `first` is the number of the first one that is kept."""

    def __init__(self) -> None:
        self.first, self.published = 1, 0
        self.kept: deque[Event] = deque()

    @property
    def last(self) -> int:
        return self.first + len(self.kept) - 1

    def events(self, number: int, count: int) -> list[Event]:
        at = number - self.first
        return list(islice(self.kept, at, at + count))


class Announcer:
    """Numbers, keeps and publishes events."""

    def __init__(self, service: int, epoch: int) -> None:
        self.service, self.activity = service, 0
        self.news, self.changed = asyncio.Event(), asyncio.Condition()
        self._begin(epoch)
        # Orders under way by path, and those that were computed from less than was told.
        self._ordered: dict[str, set[int]] = {}
        self._outdated: set[int] = set()

    def _begin(self, epoch: int) -> None:
        self.epoch, self.adopted, self.count = epoch, False, 0
        self._streams = [_Stream() for _ in range(SHARDS)]
        self._known: dict[str, dict[str, tuple[bytes | None, int]]] = {}

    async def begin_epoch(self) -> None:
        """Forgets everything and begins a new incarnation; a scan must follow."""
        self._begin(max(next_epoch(self.epoch), self.epoch + 1))
        self._outdated = {order for orders in self._ordered.values() for order in orders}
        self.activity += 1
        await self._notify()

    async def _notify(self) -> None:
        self.news.set()
        async with self.changed:
            self.changed.notify_all()

    async def announce(self, events: list[Event]) -> None:
        """Numbers events and leaves them to be published; waits while the ring is full."""
        if not events:
            return
        async with self.changed:
            await self.changed.wait_for(lambda: self.count < RING_EVENTS_MAX)
        for event in events:
            self._push(event)
        self.news.set()

    def _push(self, event: Event) -> None:
        path = path_of(event)
        stream = self._streams[shard_of(path)]
        (name, fields), *_ = event.items()
        if name in ("seen", "gone", "lost"):
            tag = fields["state"]["tag"] if name == "seen" else None
            self._known.setdefault(parent_of(path), {})[path] = (tag, stream.last + 1)
            self._outdated |= self._ordered.get(path, set())
        stream.kept.append(event)
        self.count += 1
        self.activity += 1

    async def confirm(self, event: Event) -> None:
        """Announces, and returns when the Referee has committed it."""
        epoch, stream = self.epoch, self._streams[shard_of(path_of(event))]
        await self.announce([event])
        number = stream.last
        async with self.changed:
            await self.changed.wait_for(lambda: self.epoch != epoch or stream.first > number)
        if self.epoch != epoch:
            raise Fault("cancelled", "the store has lost what it had")

    async def committed(self) -> None:
        """Waits until the Referee has committed everything that was told by now."""
        epoch, lasts = self.epoch, [(stream, stream.last) for stream in self._streams]
        async with self.changed:
            await self.changed.wait_for(
                lambda: self.epoch != epoch or all(it.first > last for it, last in lasts)
            )

    def known(self, path: str) -> Any:
        """The tag that was told of a path and isn't committed: `None` if it is gone."""
        told = self._known.get(parent_of(path), {}).get(path)
        return told[0] if told else UNKNOWN

    def known_in(self, directory: str) -> dict[str, bytes | None]:
        """What was told of the paths directly in a directory and isn't committed."""
        return {path: told[0] for path, told in self._known.get(directory, {}).items()}

    async def acknowledge(self, committed: list[tuple[int, int]]) -> None:
        """The Referee follows this incarnation, and has committed so much of each shard."""
        self.adopted = True
        for shard, number in committed:
            stream = self._streams[shard]
            while stream.first <= number and stream.kept:
                path = path_of(stream.kept.popleft())
                told = self._known.get(parent_of(path), {})
                if path in told and told[path][1] == stream.first:
                    del told[path]
                    if not told:
                        del self._known[parent_of(path)]
                stream.first += 1
                self.count -= 1
        await self._notify()

    def replay(self, asked: list[tuple[int, int]]) -> list[dict[str, Any]] | None:
        """What comes after these numbers, as far as it fits; `None` if it is no longer kept."""
        batches, count = [], 0
        for shard, after in asked:
            stream = self._streams[shard]
            if after + 1 < stream.first:
                return None
            if count < REPLAY_EVENTS_MAX:
                events = stream.events(after + 1, REPLAY_EVENTS_MAX)
                batches.append(self._batch(shard, after + 1, events))
                count += len(events)
        return batches

    def next_batch(self) -> dict[str, Any] | None:
        """What is to be published next."""
        for shard, stream in enumerate(self._streams):
            first = max(stream.published, stream.first - 1) + 1
            if first <= stream.last:
                events = stream.events(first, BATCH_EVENTS_MAX)
                stream.published = first + len(events) - 1
                return self._batch(shard, first, events)
        return None

    def _batch(self, shard: int, first: int, events: list[Event]) -> dict[str, Any]:
        told: dict[str, Any] = {"service": self.service, "epoch": self.epoch, "shard": shard}
        return {**told, "first": first, "events": events}

    def heartbeat(self) -> dict[str, Any]:
        """That this driver lives, and how much there is to be heard of it."""
        last = [stream.published for stream in self._streams]
        return {"service": self.service, "epoch": self.epoch, "last": last}

    def begin_order(self, order: int, paths: list[str]) -> None:
        """An order has come: what was told of its paths and isn't committed it didn't know."""
        if any(self.known(path) is not UNKNOWN for path in paths):
            self._outdated.add(order)
        for path in paths:
            self._ordered.setdefault(path, set()).add(order)

    def check_basis(self, order: int, path: str) -> None:
        """Fails if something was told since that the order didn't know."""
        if order in self._outdated:
            raise Fault("changed", f"something was told of `{path}` since")

    def end_order(self, order: int, paths: list[str]) -> None:
        """The order is over."""
        self._outdated.discard(order)
        for path in paths:
            orders = self._ordered.get(path, set())
            orders.discard(order)
            if not orders:
                self._ordered.pop(path, None)
