"""The store: reading the registry and the records; writing what this driver says of itself.

While the server is away every call waits: what the store knows is unknown then, and never nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import redis.asyncio as redis
import xxhash
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, TimeoutError

from .words import SHARDS, Content, Fault, parent_of, shard_of_directory

T = TypeVar("T")
LAYOUT = 4
_KINDS = ("file", "directory", "symlink", "file")
_LEAVING = 1 << 16
_AWAY = (ConnectionError, TimeoutError, BusyLoadingError, OSError)


@dataclass(frozen=True)
class Record:
    """What Onitu knows of one path, as far as a driver asks."""

    revision: int
    gone: bool
    content: Content
    holders: dict[int, tuple[int, bytes]]
    """Service to the revision it holds and its tag."""
    leaving: frozenset[int]

    def tag_of(self, service: int) -> bytes | None:
        """The tag under which a service is known to hold the path."""
        held = self.holders.get(service)
        return held[1] if held else None

    def is_current_on(self, service: int) -> bool:
        """Whether a service holds the current revision of a living path."""
        held = self.holders.get(service)
        return held is not None and not self.gone and held[0] == self.revision


class _Bytes:
    """Takes a packed record apart, from the first byte to the last."""

    def __init__(self, packed: bytes) -> None:
        self._packed, self._at = packed, 0

    def take(self, count: int) -> bytes:
        piece = self._packed[self._at : self._at + count]
        if len(piece) != count:
            raise Fault("unavailable", "a record in the store ends too early")
        self._at += count
        return piece

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value & (1 << 64) - 1

    def is_at_end(self) -> bool:
        return self._at >= len(self._packed)


def unpack(packed: bytes) -> Record:
    """Reads a packed record."""
    rest = _Bytes(packed)
    flags, revision = rest.take(1)[0], rest.varint()
    kind = _KINDS[flags & 3]
    size = mtime_ns = 0
    checksum = None
    if kind != "directory":
        size = rest.varint()
        mtime_ns = int.from_bytes(rest.take(8), "little", signed=True)
        checksum = rest.take(20) if flags & 0x10 else None
    if flags & 3 == 3:
        rest.varint()  # The media type.
    if flags & 0x20:
        rest.varint()  # The origin.
    if flags & 0x80:
        for _ in range(rest.varint()):
            rest.varint()
            rest.take(20)
    if flags & 0x40:
        rest.take(rest.varint())  # Where it moved from or to.
    holders, leaving = {}, set()
    while not rest.is_at_end():
        service = rest.varint()
        held = (revision - rest.varint()) % (1 << 64)
        tag = rest.take(6)
        if service >= _LEAVING:
            rest.varint()  # The incarnation that was told to remove it.
            service -= _LEAVING
            leaving.add(service)
        holders[service] = (held, tag)
    content = Content(kind, size, mtime_ns, bool(flags & 8), checksum)
    return Record(revision, bool(flags & 4), content, holders, frozenset(leaving))


def bucket_of(name: bytes, buckets: int) -> int:
    """In which bucket of a directory a name stands."""
    if buckets == 1:
        return 0
    number, span = xxhash.xxh3_64_intdigest(name), 1 << (buckets - 1).bit_length()
    return number % span if number % span < buckets else number % (span // 2)


def _key(directory: str, bucket: int) -> bytes:
    key = f"{{{shard_of_directory(directory):02x}}}:d:{directory}"
    return (key + f"\0{bucket}" if bucket else key).encode()


class Store:
    """One connection to the store."""

    def __init__(self, address: str) -> None:
        address = address.replace("redis+unix://", "unix://", 1)
        self._redis = redis.from_url(address, socket_timeout=5, socket_connect_timeout=2)

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asks until there is an answer: only reading, and writing what may be written twice."""
        pause = 0.05
        while True:
            try:
                return await ask()
            except _AWAY:
                await asyncio.sleep(pause)
                pause = min(1.0, pause * 2)
            except RedisError as error:
                raise Fault("unavailable", f"the metadata store: {error}") from error

    async def _all(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Several commands in one transaction; of one shard, so that they agree."""
        asked = list(commands)

        async def ask() -> list[Any]:
            async with self._redis.pipeline(transaction=True) as pipe:
                for command in asked:
                    pipe.execute_command(*command)
                return await pipe.execute()

        return await self._ask(ask)

    async def registry(self) -> dict[str, Any] | None:
        """What the Core has registered; `None` while it hasn't."""
        (layout, registry) = await self._all([("HGET", "meta", "layout"), ("GET", "registry")])
        if layout is not None and int(layout) > LAYOUT:
            raise Fault("unavailable", f"the store has layout {int(layout)}: update this driver")
        return None if registry is None else json.loads(registry)

    async def incarnation(self) -> tuple[bytes | None, str]:
        """Which store this is; another answer means that something may have been lost."""
        (generation,) = await self._all([("HGET", "meta", "generation")])
        about = await self._ask(lambda: self._redis.info("server"))
        return generation, str(about.get("run_id"))

    async def standing(self, service: int) -> tuple[int, int]:
        """The greatest epoch that is committed of a service, and how many paths it holds."""
        asked = []
        for shard in range(SHARDS):
            asked.append(("HGET", f"{{{shard:02x}}}:s", str(service)))
            asked.append(("HGET", f"{{{shard:02x}}}:count", f"held:{service}"))
        answers = await self._all(asked)
        epochs = [int(stream.split(b",")[0]) for stream in answers[::2] if stream]
        return max(epochs, default=0), sum(int(count) for count in answers[1::2] if count)

    async def listing(self, directory: str) -> dict[str, Record]:
        """The records of what is directly inside a directory."""
        layouts, buckets = f"{{{shard_of_directory(directory):02x}}}:n", 1
        while True:
            asked: list[tuple[Any, ...]] = [("HGET", layouts, directory)]
            asked += [("HGETALL", _key(directory, bucket)) for bucket in range(buckets)]
            layout, *found = await self._all(asked)
            now = int(layout.split(b",")[0]) if layout else 1
            if now == buckets:
                pairs = (pair for names in found for pair in names.items())
                return {name.decode(): unpack(packed) for name, packed in pairs}
            buckets = now

    async def record(self, path: str) -> Record | None:
        """The record of a path."""
        directory, name = parent_of(path), path.rpartition("/")[2].encode()
        layouts, buckets = f"{{{shard_of_directory(directory):02x}}}:n", 1
        while True:
            key = _key(directory, bucket_of(name, buckets))
            asked = [("HGET", layouts, directory), ("HGET", key, name)]
            layout, packed = await self._all(asked)
            now = int(layout.split(b",")[0]) if layout else 1
            if packed is not None:
                return unpack(packed)
            if now == buckets:
                return None
            buckets = now

    async def directories(self, cursor: int) -> tuple[int, set[str]]:
        """Some directories that have records, and where to go on; 0 at the end."""

        async def ask() -> Any:
            return await self._redis.scan(cursor, match="{??}:d:*", count=1_000)

        cursor, keys = await self._ask(ask)
        return cursor, {key[7:].split(b"\0")[0].decode() for key in keys}

    async def ignoring(self) -> int:
        """The version of what is ignored that is in force."""
        version = await self._ask(lambda: self._redis.hget("ignoring", "version"))
        return int(version or 0)

    async def tell_ignore_file(self, service: int, path: str, checksum: bytes, text: str) -> None:
        """What an `.onituignore` says here; to be told before the file is."""
        said = json.dumps({"checksum": checksum.hex(), "text": text})
        await self._ask(lambda: self._redis.hset("ignore-texts", f"{service}:{path}", said))

    async def report(self, service: int, report: dict[str, Any]) -> None:
        """What this driver says of itself."""
        said = json.dumps(report)
        await self._ask(lambda: self._redis.hset("reports", str(service), said))
