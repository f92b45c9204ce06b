"""Fetches contents from the services that have them: the puller's half of a transfer.

A content is verified before it is put in place: its length is the order's, its checksum that of
the source's last word, and the record's if that has one.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from .bus import Bus, Dealer, decode
from .folder import Folder
from .place import Sink
from .words import CHUNK_BYTES_MIN, INLINE_BYTES_MAX, Content, Fault

CREDIT_BYTES = 2 * 1024 * 1024
CHUNK_BYTES = 512 * 1024
SILENCE_S = 15
REOPENS_MAX = 3
Heard = tuple[str, dict[str, Any], bytes]


class SourceFault(Fault):
    """The source failed, or the way to it: another one may do better."""


class _Line:
    """The connection to one source, shared by all transfers from it."""

    def __init__(self, dealer: Dealer) -> None:
        self.dealer, self.waiting = dealer, dict[int, asyncio.Queue[Heard | None]]()
        self.task = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        try:
            while (frames := await self.dealer.hear()) is not None:
                try:
                    name, fields = decode(frames[0])
                except Fault:
                    continue
                if name == "whole":
                    for item, body in zip(fields["items"], frames[1:], strict=False):
                        self._deliver(item["id"], (name, item, body))
                elif name != "pong":
                    body = frames[1] if len(frames) > 1 else b""
                    self._deliver(fields["id"], (name, fields, body))
        finally:
            for queue in self.waiting.values():
                queue.put_nowait(None)
            self.waiting.clear()
            self.dealer.close()

    def _deliver(self, number: int, heard: Heard) -> None:
        if number in self.waiting:
            self.waiting[number].put_nowait(heard)


class Puller:
    """Fetches from all sources. What is under way is bounded by who calls: a few at once."""

    def __init__(self, bus: Bus, folder: Folder) -> None:
        self._bus, self._folder, self._number = bus, folder, 0
        self._lines: dict[int, _Line] = {}
        self._connecting = asyncio.Lock()

    async def close(self) -> None:
        """Ends all connections."""
        await end([line.task for line in self._lines.values()])

    async def _line(self, service: int) -> _Line:
        async with self._connecting:
            line = self._lines.get(service)
            if line is None or line.task.done():
                try:
                    line = _Line(await self._bus.dealer(f"s{service}.router"))
                except Fault as fault:
                    raise SourceFault(fault.kind, fault.message) from fault
                self._lines[service] = line
            return line

    async def fetch(
        self, path: str, revision: int, content: Content, source: int, tag: bytes
    ) -> tuple[Sink, bytes]:
        """A whole, verified copy under a temporary name, and its checksum.

        What was written of one that failed is kept for a later attempt, unless it can't help.
        """
        key = _resume_key(path, revision, content)
        sink = await asyncio.to_thread(self._folder.begin, path, content, key)
        try:
            for _ in range(1 + REOPENS_MAX):
                checksum = await self._turn(path, content, sink, source, tag)
                if checksum is not None:
                    return sink, checksum
            raise SourceFault("unavailable", f"the source of `{path}` was lost too often")
        except BaseException as error:
            if isinstance(error, Fault) and error.kind in ("corrupt", "changed", "full"):
                sink.discard()
            sink.keep()
            raise

    async def _turn(
        self, path: str, content: Content, sink: Sink, source: int, tag: bytes
    ) -> bytes | None:
        """Opens the path at the source and takes what comes; `None` to open it again."""
        written, total = 0, hashlib.sha1()
        if content.size > INLINE_BYTES_MAX:
            written, total = await asyncio.to_thread(sink.resumed)
        if written > content.size:
            raise Fault("corrupt", f"what was written of `{path}` before is too long")
        line = await self._line(source)
        self._number += 1
        number, queue = self._number, asyncio.Queue[Heard | None]()
        line.waiting[number] = queue
        asked = {
            "id": number,
            "path": path,
            "tag": tag,
            "offset": written,
            "chunk_bytes": CHUNK_BYTES,
            "credit_bytes": max(1, min(content.size, CREDIT_BYTES)),
            "checksum": content.checksum,
        }
        taking = _Taking(line, number, path, content, sink, written, total)
        over = False
        try:
            await line.dealer.say({"open": {"opens": [asked]}})
            while True:
                heard = await asyncio.wait_for(queue.get(), SILENCE_S)
                if heard is None:
                    over = True
                    return None
                over = heard[0] in ("whole", "refused")
                checksum = await taking.take(heard)
                if checksum is not None:
                    return checksum
                if taking.has_gap:
                    return None
        except TimeoutError:
            raise SourceFault("unavailable", f"the source of `{path}` was silent") from None
        finally:
            line.waiting.pop(number, None)
            if not over and not line.task.done():
                await line.dealer.say({"close": {"id": number}})


class _Taking:
    """One opening of a transfer: what has arrived, and what is granted again."""

    def __init__(
        self,
        line: _Line,
        number: int,
        path: str,
        content: Content,
        sink: Sink,
        written: int,
        total: Any,
    ) -> None:
        self._line, self._number, self._path = line, number, path
        self._content, self._sink = content, sink
        self._written, self._total, self._owed = written, total, 0
        self._granted = max(1, min(content.size, CREDIT_BYTES))
        self.has_gap = False

    async def take(self, heard: Heard) -> bytes | None:
        """Takes what was heard; the checksum once everything is written and verified."""
        name, fields, body = heard
        if name == "refused":
            fault = fields["fault"]
            raise SourceFault(fault["kind"], fault["message"], fault.get("retry_after_ms"))
        if name in ("whole", "opened"):
            told = Content.read(fields["content"])
            if (told.kind, told.size) != (self._content.kind, self._content.size):
                raise self._corrupt("is another content than was promised")
            if name == "whole":
                await self._write(body)
                return self._verify(told.checksum)
        elif name == "chunk":
            await self._chunk(fields["offset"], body)
        elif name == "end":
            if self._written < self._content.size:
                self.has_gap = True
                return None
            return self._verify(bytes(fields["checksum"]))
        return None

    async def _chunk(self, offset: int, body: bytes) -> None:
        if offset != self._written:
            # One that is heard twice does no harm; after a gap the rest is asked for again.
            self.has_gap = offset > self._written
            return
        self._granted -= len(body)
        if self._granted < 0 or len(body) > self._content.size - offset:
            raise self._corrupt("came with more bytes than were asked for")
        await self._write(body)
        self._owed += len(body)
        if self._owed >= CHUNK_BYTES_MIN:
            credit = {"id": self._number, "bytes": self._owed, "chunk_bytes": CHUNK_BYTES}
            self._granted += self._owed
            self._owed = 0
            await self._line.dealer.say({"credit": credit})

    async def _write(self, body: bytes) -> None:
        if body:
            await asyncio.to_thread(self._sink.write, body)
            await asyncio.to_thread(self._total.update, body)
            self._written += len(body)

    def _verify(self, told: bytes | None) -> bytes:
        own = bytes(self._total.digest())
        if self._written != self._content.size or told != own:
            raise self._corrupt("doesn't have the length and checksum that were told")
        if self._content.checksum not in (None, own):
            raise self._corrupt("doesn't have the record's checksum")
        return own

    def _corrupt(self, what: str) -> SourceFault:
        return SourceFault("corrupt", f"what came for `{self._path}` {what}")


async def end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancels tasks, and waits until they have let go what they held."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _resume_key(path: str, revision: int, content: Content) -> int:
    """Names what an interrupted attempt wrote: only the same content takes it up."""
    identity = f"{path}\0{revision}\0{content.size}\0{content.mtime_ns}"
    return int.from_bytes(hashlib.sha1(identity.encode()).digest()[:8], "big")
