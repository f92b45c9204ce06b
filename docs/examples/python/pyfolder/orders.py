"""In: what the Referee wants done here, and how it ended.

An order is acknowledged at once and carried out by a task of its own. Its path is claimed from the
first check to the announcement of the result, so no scan takes Onitu's own change for a user's.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from typing import Any

from .announce import Announcer, Event
from .folder import Folder
from .place import Sink
from .store import Store
from .transfer import Puller, SourceFault, end
from .watch import Watcher, read_whole
from .words import (
    INLINE_BYTES_MAX,
    Content,
    Fault,
    State,
    check_path,
    conflict_path,
)

LARGE_AT_ONCE = 4
SMALL_AT_ONCE = 16
DIRECTORIES_MAX = 1_000
Order = dict[str, Any]


class Orders:
    """Carries out orders."""

    def __init__(
        self,
        service: dict[str, Any],
        folder: Folder,
        store: Store,
        announcer: Announcer,
        watcher: Watcher,
        puller: Puller,
    ) -> None:
        self._name, self._folder, self._store = str(service["name"]), folder, store
        self._announcer, self._watcher, self._puller = announcer, watcher, puller
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._small = asyncio.Semaphore(SMALL_AT_ONCE)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._cancelled: dict[int, asyncio.Event] = {}

    @property
    def count(self) -> int:
        """How many are under way."""
        return len(self._tasks)

    async def close(self) -> None:
        """Gives up what is under way."""
        await end(list(self._tasks.values()))

    async def answer(self, asked: dict[str, Any]) -> Any:
        """Takes the Referee's turn: what it committed, what it missed, what it wants done."""
        if asked["epoch"] != self._announcer.epoch:
            return {"taken": {"epoch": self._announcer.epoch, "batches": []}}
        await self._announcer.acknowledge([tuple(it) for it in asked["acknowledged"]])
        for number in asked["cancel"]:
            if number in self._cancelled:
                self._cancelled[number].set()
        for order in asked["orders"]:
            if order["id"] not in self._tasks:
                self._begin(order)
        batches = self._announcer.replay([tuple(it) for it in asked["replay"]])
        if batches is None:
            # The store has lost what it had acknowledged: everything is to be told anew.
            await self._announcer.begin_epoch()
            self._watcher.forget_told()
            self._watcher.ask(whole=True)
        return {"taken": {"epoch": self._announcer.epoch, "batches": batches or []}}

    def _begin(self, order: Order) -> None:
        number, (name, fields) = order["id"], _action(order)
        paths = [order["path"]] + ([fields["from"]] if name == "rename" else [])
        self._announcer.begin_order(number, paths)
        self._cancelled[number] = asyncio.Event()
        self._tasks[number] = asyncio.create_task(self._run(order, paths))

    async def _run(self, order: Order, paths: list[str]) -> None:
        number, path, (name, fields) = order["id"], order["path"], _action(order)
        is_large = name == "pull" and fields["content"]["size"] > INLINE_BYTES_MAX
        try:
            async with self._large if is_large else self._small:
                await self._watcher.claims.wait_for(path)
                try:
                    events = await self._carry_out(order)
                    await self._announcer.announce(events)
                finally:
                    await self._watcher.claims.give_back([path])
        finally:
            self._announcer.end_order(number, paths)
            del self._tasks[number], self._cancelled[number]
            self._announcer.activity += 1

    async def _carry_out(self, order: Order) -> list[Event]:
        """How it ended, as events; the last one of the order's own path tells its number."""
        try:
            if self._cancelled[order["id"]].is_set():
                raise Fault("cancelled", "overtaken before it began")
            check_path(order["path"])
            self._announcer.check_basis(order["id"], order["path"])
            return await self._act(order)
        except Fault as fault:
            return await self._explain(order, fault)
        except OSError as error:
            message = f"`{order['path']}`: {error.strerror or error}"
            return [_failed(order, Fault("unavailable", message))]
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            return [_failed(order, Fault("bug", f"`{order['path']}`: {error!r}"))]

    async def _act(self, order: Order) -> list[Event]:
        path, (name, fields), folder = order["path"], _action(order), self._folder
        expect = None if fields.get("expect") is None else bytes(fields["expect"])
        if name == "pull":
            content = Content.read(fields["content"])
            state = await self._pull(order, content, expect, fields)
            self._look_at_parent(expect)
            return [_seen(order, state, fields["revision"])]
        if name == "make_directory":
            state = await asyncio.to_thread(folder.make_directory, path, expect)
            self._look_at_parent(expect)
            return [_seen(order, state, fields["revision"])]
        if name == "rename":
            return await self._rename(order, fields, expect)
        if expect is None:
            raise Fault("unsupported", f"the order `{name}` is not understood")
        if name == "remove":
            there = await asyncio.to_thread(folder.look, path)
            await asyncio.to_thread(folder.remove, path, expect)
            if there is not None and there.content.kind != "directory":
                self._watcher.brake.ordered_removal()
            self._watcher.forget_told(path)
            return [_gone(order)]
        state_there = await self._expect(path, expect)
        if state_there is None:
            raise Fault("changed", f"`{path}` is gone")
        if name == "hash":
            return [_seen(order, await self._hashed(path, state_there))]
        if name == "set_aside":
            return await self._set_aside(order, state_there, fields["unless"])
        raise Fault("unsupported", f"the order `{name}` is not understood")

    async def _expect(self, path: str, expect: bytes | None) -> State | None:
        """What is at a path, if that is what the order expects."""
        there = await asyncio.to_thread(self._folder.look, path)
        if (None if there is None else there.tag) != expect:
            raise Fault("changed", f"`{path}` is not what was expected there")
        return there

    async def _hashed(self, path: str, state: State) -> State:
        if state.content.kind == "directory":
            return state
        checksum = await asyncio.to_thread(read_whole, self._folder, path, state)
        return state.with_checksum(checksum)

    def _look_at_parent(self, expect: bytes | None) -> None:
        """A new path may have made its directory, which nobody has told yet."""
        if expect is None:
            self._watcher.ask()

    async def _pull(
        self, order: Order, content: Content, expect: bytes | None, fields: dict[str, Any]
    ) -> State:
        path, revision = order["path"], fields["revision"]
        there = await self._expect(path, expect)
        if there is not None and expect is not None:
            adjusted = await self._adjust(path, content, there)
            if adjusted is not None:
                return adjusted
        last = Fault("not_found", f"no service has `{path}`")
        for source in fields["sources"]:
            fetch = self._puller.fetch(
                path, revision, content, source["service"], bytes(source["tag"])
            )
            try:
                sink, checksum = await self._unless_overtaken(order, revision, fetch)
            except SourceFault as fault:
                last = fault  # The next source may do better.
                continue
            return await self._place(order, sink, content.with_checksum(checksum), expect, content)
        if last.kind in ("unavailable", "rate_limited"):
            # The source can't be reached; this service is well.
            last = Fault("not_found", last.message)
        raise last

    async def _place(
        self, order: Order, sink: Sink, whole: Content, expect: bytes | None, asked: Content
    ) -> State:
        """Puts it in place; not before its checksum is on record.

        Should this process die before it tells what it placed, the next one's scan finds out by
        the checksum that this was no user's.
        """
        try:
            if asked.checksum is None:
                revision = _action(order)[1]["revision"]
                fetched = {"path": order["path"], "revision": revision, "content": whole.wire()}
                await self._announcer.confirm({"fetched": fetched})
            state = await asyncio.to_thread(sink.place, whole, expect)
        finally:
            sink.keep()
        return state.with_checksum(whole.checksum)

    async def _unless_overtaken(
        self, order: Order, revision: int, fetch: Awaitable[tuple[Sink, bytes]]
    ) -> tuple[Sink, bytes]:
        """Gives up a transfer when another revision than its own is recorded by now."""
        fetching = asyncio.ensure_future(fetch)
        cancelled = self._cancelled[order["id"]]
        try:
            while True:
                overtaken = asyncio.ensure_future(cancelled.wait())
                done, _ = await asyncio.wait(
                    (fetching, overtaken), return_when=asyncio.FIRST_COMPLETED
                )
                overtaken.cancel()
                if fetching in done:
                    return fetching.result()
                cancelled.clear()
                record = await self._store.record(order["path"])
                if record is None or record.gone or record.revision != revision:
                    raise Fault("changed", f"`{order['path']}` was overtaken by a newer revision")
        finally:
            if not fetching.done():
                fetching.cancel()
                await asyncio.wait((fetching,))

    async def _adjust(self, path: str, content: Content, there: State) -> State | None:
        """If the bytes here are the wanted ones already, nothing needs to travel."""
        here = there.content
        if content.checksum is None or (here.kind, here.size) != (content.kind, content.size):
            return None
        checksum = await asyncio.to_thread(read_whole, self._folder, path, there)
        if checksum != content.checksum:
            return None
        if not here.has_attributes(content):
            setting = self._folder.set_attributes
            there = await asyncio.to_thread(setting, path, there.tag, content)
        return there.with_checksum(checksum)

    async def _rename(
        self, order: Order, fields: dict[str, Any], expect: bytes | None
    ) -> list[Event]:
        path, old, content = order["path"], fields["from"], Content.read(fields["content"])
        expect_from, claims = bytes(fields["expect_from"]), self._watcher.claims
        # Never waited for: two renames that cross would wait for each other.
        if not claims.take(old):
            raise Fault("cancelled", f"`{old}` is in use")
        try:
            self._announcer.check_basis(order["id"], path)
            rename = self._folder.rename
            state = await asyncio.to_thread(rename, old, expect_from, path, expect)
            if not state.content.has_attributes(content):
                setting = self._folder.set_attributes
                state = await asyncio.to_thread(setting, path, state.tag, content)
            self._watcher.forget_told(old)
            gone = {"gone": {"path": old, "order": None, "moved_to": path}}
            placed = _seen(order, state.with_checksum(content.checksum), fields["revision"])
            # Told while both names are claimed: a scan in between would tell of them, too.
            await self._announcer.announce([placed, gone])
            return []
        finally:
            self._watcher.ask()
            await claims.give_back([old])

    async def _set_aside(self, order: Order, state: State, unless: Any) -> list[Event]:
        """Gives what is here its conflict name, unless it has the bytes that keep the name."""
        path = order["path"]
        state = await self._hashed(path, state)
        checksum, is_directory = state.content.checksum, state.content.kind == "directory"
        if not is_directory and unless is not None and checksum == bytes(unless):
            return [_seen(order, state)]
        for kept in self._conflict_paths(path, checksum):
            if kept == path:
                continue  # It has lost that name, too.
            if not self._watcher.claims.take(kept):
                raise Fault("cancelled", f"`{kept}` is in use")
            try:
                there = await self._keep_under(path, state, kept)
                if there is None:
                    continue
                fields = {"path": kept, "state": there.with_checksum(checksum).wire()}
                rest = {"order": None, "placed": None, "moved_from": None, "set_aside_from": path}
                await self._announcer.announce([{"seen": {**fields, **rest}}, _gone(order)])
                self._watcher.ask()
                return []
            finally:
                await self._watcher.claims.give_back([kept])
        raise Fault("invalid_name", f"every conflict name of `{path}` is taken")

    async def _keep_under(self, path: str, state: State, kept: str) -> State | None:
        """Moves it to a conflict name; `None` if something else has that name."""
        folder = self._folder
        there = await asyncio.to_thread(folder.look, kept)
        if there is None:
            return await asyncio.to_thread(folder.rename, path, state.tag, kept, None)
        same = (there.content.kind, there.content.size) == ("file", state.content.size)
        if not same or (await self._hashed(kept, there)).content.checksum != state.content.checksum:
            return None
        # An earlier run kept the same bytes already: this copy is one too many.
        await asyncio.to_thread(folder.remove, path, state.tag)
        return there

    def _conflict_paths(self, path: str, checksum: bytes | None) -> list[str]:
        """The names to try in turn; a directory has no checksum, and is numbered."""
        sums = [(checksum or hashlib.sha1(b"").digest(), digits) for digits in (7, 12, 20, 40)]
        if checksum is None:
            numbers = (str(number).encode() for number in range(2, DIRECTORIES_MAX + 1))
            sums += [(hashlib.sha1(number).digest(), 7) for number in numbers]
        return [conflict_path(path, self._name, total, digits) for total, digits in sums]

    async def _explain(self, order: Order, fault: Fault) -> list[Event]:
        """The truth about the path if it isn't what was expected; else why the order failed."""
        path, expect = order["path"], _action(order)[1].get("expect")
        if fault.kind == "changed":
            try:
                now = await asyncio.to_thread(self._folder.look, path)
                if now is not None and (expect is None or now.tag != bytes(expect)):
                    return [_seen(order, await self._hashed(path, now))]
            except (Fault, OSError):
                pass
        self._watcher.ask()
        return [_failed(order, fault)]


def _action(order: Order) -> tuple[str, dict[str, Any]]:
    name, fields = next(iter(order["action"].items()))
    return name, fields


def _seen(order: Order, state: State, placed: int | None = None) -> Event:
    told = {"path": order["path"], "state": state.wire(), "order": order["id"], "placed": placed}
    return {"seen": {**told, "moved_from": None, "set_aside_from": None}}


def _gone(order: Order) -> Event:
    return {"gone": {"path": order["path"], "order": order["id"], "moved_to": None}}


def _failed(order: Order, fault: Fault) -> Event:
    return {"failed": {"path": order["path"], "order": order["id"], "fault": fault.wire()}}
