"""Gives contents to the services that want them: the holder's half of a transfer.

Bounded: transfers that wait or run, contents that are streamed at once, and the bytes of each that
are on their way; so neither a slow puller nor a stopped one fills the memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any

import zmq
import zmq.asyncio

from .bus import BYE, MESSAGE, PING, PONG, decode, encode
from .folder import Folder, Source
from .transfer import end
from .words import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, INLINE_BYTES_MAX, Fault

TRANSFERS_MAX = 1_024
STREAMS_MAX = 16
CREDIT_MAX = 4 * 1024 * 1024
PATIENCE_S = 30
SIGN_OF_LIFE_S = 2
Key = tuple[bytes, int]


class _Gate:
    """What a puller lets one transfer send."""

    def __init__(self, credit: int, chunk: int) -> None:
        self.given = asyncio.Event()
        self.credit = self.chunk = 0
        self.give(credit, chunk)

    def give(self, credit: int, chunk: int) -> None:
        self.credit = min(self.credit + credit, CREDIT_MAX)
        self.chunk = max(CHUNK_BYTES_MIN, min(chunk, CHUNK_BYTES_MAX))
        self.given.set()

    async def allowance(self, left: int) -> int:
        """How much may be sent at once; waits for credit, but not for a puller that has gone."""
        while self.credit == 0:
            self.given.clear()
            await asyncio.wait_for(self.given.wait(), PATIENCE_S)
        allowed = min(self.credit, self.chunk, left)
        self.credit -= allowed
        return allowed


class Giver:
    """Answers on the service's ROUTER."""

    def __init__(self, router: zmq.asyncio.Socket, folder: Folder, doubt: Callable[[], None]):
        self._router, self._folder, self._doubt = router, folder, doubt
        self._gates: dict[Key, _Gate] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._reads, self._streams = asyncio.Semaphore(16), 0

    async def run(self) -> None:
        """Answers for ever."""
        try:
            while True:
                peer, kind, *frames = await self._router.recv_multipart()
                if kind == PING:
                    await self._router.send_multipart([peer, PONG])
                elif kind == BYE:
                    await self._router.send_multipart([peer, BYE])
                elif kind == MESSAGE and frames:
                    await self._hear(peer, frames[0])
        finally:
            await end(list(self._tasks.values()))

    async def _hear(self, peer: bytes, payload: bytes) -> None:
        try:
            name, fields = decode(payload)
        except Fault:
            return
        if name == "open":
            for asked in fields["opens"]:
                await self._open(peer, asked)
        elif name == "ping":
            await self._say(peer, "pong")
        elif name in ("credit", "close"):
            key = (peer, fields["id"])
            if name == "close" and key in self._tasks:
                self._tasks[key].cancel()
            elif name == "credit" and key in self._gates:
                self._gates[key].give(fields["bytes"], fields["chunk_bytes"])

    async def _open(self, peer: bytes, asked: dict[str, Any]) -> None:
        key = (peer, asked["id"])
        if key in self._tasks:
            return  # Heard twice: the first one is at work.
        if len(self._tasks) >= TRANSFERS_MAX:
            await self._refuse(peer, asked["id"], _busy())
            return
        self._gates[key] = _Gate(asked["credit_bytes"], asked["chunk_bytes"])
        self._tasks[key] = asyncio.create_task(self._transfer(key, asked))

    async def _transfer(self, key: Key, asked: dict[str, Any]) -> None:
        peer, number = key
        source = None
        try:
            async with self._reads:
                opening = (asked["path"], bytes(asked["tag"]), asked["offset"])
                source = await asyncio.to_thread(self._folder.open, *opening)
                if asked["offset"] == 0 and source.content.size <= INLINE_BYTES_MAX:
                    await self._whole(peer, number, source)
                    return
            if self._streams >= STREAMS_MAX:
                raise _busy()
            self._streams += 1
            try:
                await self._stream(key, source, asked)
            finally:
                self._streams -= 1
        except Fault as fault:
            self._doubt()
            await self._refuse(peer, number, fault)
        except (TimeoutError, asyncio.CancelledError):
            pass  # The puller has gone, or wants nothing more.
        except OSError as error:
            message = f"can't read `{asked['path']}`: {error.strerror}"
            await self._refuse(peer, number, Fault("unavailable", message))
        finally:
            if source is not None:
                source.close()
            del self._gates[key], self._tasks[key]

    async def _whole(self, peer: bytes, number: int, source: Source) -> None:
        content = source.content
        chunk = await asyncio.to_thread(_read, source, content.size)
        await asyncio.to_thread(_expect_end, source)
        content = content.with_checksum(hashlib.sha1(chunk).digest())
        items = [{"id": number, "content": content.wire()}]
        await self._say(peer, {"whole": {"items": items}}, chunk)

    async def _stream(self, key: Key, source: Source, asked: dict[str, Any]) -> None:
        (peer, number), gate = key, self._gates[key]
        at, size = asked["offset"], source.content.size
        if at > size:
            raise Fault("changed", f"`{asked['path']}` has {size} bytes only")
        await self._say(peer, {"opened": {"id": number, "content": source.content.wire()}})
        total = await self._prefix(peer, asked)
        while at < size:
            allowed = await gate.allowance(size - at)
            chunk = await asyncio.to_thread(_read, source, allowed)
            await self._say(peer, {"chunk": {"id": number, "offset": at}}, chunk)
            await asyncio.to_thread(total.update, chunk)
            at += len(chunk)
        await asyncio.to_thread(_expect_end, source)
        await self._say(peer, {"end": {"id": number, "checksum": total.digest()}})

    async def _prefix(self, peer: bytes, asked: dict[str, Any]) -> Any:
        """Hashes what the puller already has: the checksum at the end is of the whole."""
        total, left, told = hashlib.sha1(), asked["offset"], time.monotonic()
        if left == 0:
            return total
        opening = (asked["path"], bytes(asked["tag"]))
        source = await asyncio.to_thread(self._folder.open, *opening)
        try:
            while left > 0:
                chunk = await asyncio.to_thread(_read, source, min(left, CHUNK_BYTES_MAX))
                await asyncio.to_thread(total.update, chunk)
                left -= len(chunk)
                if time.monotonic() - told > SIGN_OF_LIFE_S:
                    told = time.monotonic()
                    sign = {"chunk": {"id": asked["id"], "offset": asked["offset"]}}
                    await self._say(peer, sign, b"")
        finally:
            source.close()
        return total

    async def _say(self, peer: bytes, answer: Any, *bodies: bytes) -> None:
        await self._router.send_multipart([peer, MESSAGE, encode(answer), *bodies])

    async def _refuse(self, peer: bytes, number: int, fault: Fault) -> None:
        await self._say(peer, {"refused": {"id": number, "fault": fault.wire()}})


def _read(source: Source, size: int) -> bytes:
    """Exactly so many bytes."""
    pieces, left = [], size
    while left > 0:
        piece = source.next(left)
        if not piece:
            raise Fault("changed", "it is shorter than it was when it was opened")
        pieces.append(piece)
        left -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _expect_end(source: Source) -> None:
    if source.next(1):
        raise Fault("changed", "it is longer than it was when it was opened")


def _busy() -> Fault:
    return Fault("rate_limited", "many transfers are under way already", retry_after_ms=1_000)
