"""Out: the whole folder is compared with the records, again and again; what differs is looked at.

A scan only finds suspects. Each is looked at once more under its claim before anything is told, so
no event speaks of a state that was not there, and none of a change that an order is making.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from .announce import UNKNOWN, Announcer, Event
from .brake import Brake
from .folder import Folder, Found
from .store import Record, Store
from .words import (
    IGNORE_BYTES_MAX,
    IGNORE_FILE,
    INLINE_BYTES_MAX,
    Fault,
    State,
    join,
)

SUSPECTS_MAX = 65_536
LOOK_AT_ONCE = 128
PROBLEMS_MAX = 100
RETELL_S = 600
QUIET_S = 0.5
QUIET_LAST_S = 10


class Claims:
    """One at a time per path: who looks at a path or changes it claims it first."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._freed = asyncio.Condition()

    def take(self, path: str) -> bool:
        """Claims a path if it is free."""
        if path in self._held:
            return False
        self._held.add(path)
        return True

    async def wait_for(self, path: str) -> None:
        """Claims a path as soon as it is free."""
        async with self._freed:
            await self._freed.wait_for(lambda: self.take(path))

    async def give_back(self, paths: list[str]) -> None:
        """Ends claims."""
        self._held.difference_update(paths)
        async with self._freed:
            self._freed.notify_all()

    @asynccontextmanager
    async def free_ones(self, paths: list[str]) -> AsyncIterator[list[str]]:
        """Claims those among them that are free."""
        taken = [path for path in dict.fromkeys(paths) if self.take(path)]
        try:
            yield taken
        finally:
            await self.give_back(taken)


@dataclass
class _Suspects:
    """What differs between the folder and the records."""

    new: dict[str, bytes] = field(default_factory=dict)
    gone: dict[str, tuple[bytes, bool, bool, int]] = field(default_factory=dict)
    """With the tag that was known, whether it counts, whether it is a file, and its size."""
    files: int = 0


class Watcher:
    """Compares the folder with the records, and tells what differs."""

    def __init__(
        self, service: dict[str, Any], folder: Folder, store: Store, announcer: Announcer
    ) -> None:
        self._id, self._folder, self._store = int(service["id"]), folder, store
        self._announcer, self.claims, self.brake = announcer, Claims(), Brake(service)
        self._poll_s = float(service["options"].get("poll_s") or 5)
        self.scans = self.scanned = self.ignoring = 0
        self.problems: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._whole, self._is_unfinished = True, False
        self._asked, self.ended = asyncio.Event(), asyncio.Event()
        self._numbers = [0, 0]
        """How often a scan was asked for, and which of these were answered."""
        self._answered = asyncio.Condition()
        self._told: dict[str, tuple[bytes, float]] = {}
        self._at_once = asyncio.Semaphore(8)
        self._writing: dict[str, float] = {}

    def ask(self, whole: bool = False) -> int:
        """Asks for a scan soon; `whole` for one that goes through all records, too."""
        self._whole |= whole
        self._numbers[0] += 1
        self._asked.set()
        return self._numbers[0]

    def forget_told(self, path: str | None = None) -> None:
        """What was told, of a path or at all, and left no record is to be told again."""
        if path is None:
            self._told.clear()
        else:
            self._told.pop(path, None)

    async def settle(self, limit_s: float) -> bool:
        """Whether a scan that began after this call was finished in time, and left nothing."""
        mine = self.ask()

        async def answered() -> None:
            async with self._answered:
                await self._answered.wait_for(lambda: self._numbers[1] >= mine)

        try:
            await asyncio.wait_for(answered(), limit_s)
        except TimeoutError:
            return False
        return not self._is_unfinished

    async def run(self) -> None:
        """Scans for ever. A scan that takes long is followed by a longer pause."""
        while True:
            self._asked.clear()
            asked, whole = self._numbers[0], self._whole
            self._whole = False
            began = time.monotonic()
            await self._scan(whole)
            self._numbers[1] = asked
            async with self._answered:
                self._answered.notify_all()
            took = time.monotonic() - began
            await asyncio.sleep(max(0.05, took))
            pause = QUIET_S if self._is_unfinished else max(self._poll_s, 9 * took)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), pause)

    async def _scan(self, whole: bool) -> None:
        await asyncio.to_thread(self._folder.check)
        ignoring = await self._store.ignoring()
        if ignoring != self.ignoring:
            self.forget_told()
        self._is_unfinished, self._problems = False, {}
        now = time.monotonic()
        self._told = {path: it for path, it in self._told.items() if now - it[1] < RETELL_S}
        self._writing = {p: at for p, at in self._writing.items() if now - at < 2 * QUIET_LAST_S}
        if self.scans == 0:
            self.scanned = 0
        suspects, seen, count = _Suspects(), set[bytes](), 0
        stack = [""]
        while stack:
            directory = stack.pop()
            if whole:
                seen.add(_mark(directory))
            count += await self._compare(directory, suspects, stack)
            self.scanned = max(self.scanned, count)
            if len(suspects.new) >= SUSPECTS_MAX:
                # Their former names are not looked for: they are taken as new.
                await self._look(list(suspects.new))
                suspects.new.clear()
        if whole:
            await self._find_orphans(seen, suspects)
        self.scanned = count
        await self._settle(suspects)
        self.problems = self._problems
        self.ignoring = ignoring
        self.scans += whole
        self.ended.set()

    def _known(self, path: str, announced: Any, record: Record | None) -> bytes | None:
        """The tag under which this service is known to hold a path.

        What was announced is asked before the record is read and once more now: an event that is
        committed in between is in one of them.
        """
        now = self._announcer.known(path)
        for told in (now, announced):
            if told is not UNKNOWN:
                return told  # type: ignore[no-any-return]
        return None if record is None else record.tag_of(self._id)

    async def _compare(self, directory: str, suspects: _Suspects, stack: list[str]) -> int:
        """Compares one directory; a half listing or an error is never taken for absence."""
        announced = self._announcer.known_in(directory)
        records = await self._store.listing(directory)
        listed = await asyncio.to_thread(self._listed, directory)
        if listed is None:
            return 0
        there: set[str] = set()
        for found in listed:
            path = join(directory, found.name)
            there.add(path)
            if found.fault is not None:
                self._note(path, found.fault)
            elif found.state is not None:
                is_directory = found.state.content.kind == "directory"
                suspects.files += not is_directory
                known = announced.get(path, UNKNOWN)
                if self._known(path, known, records.get(found.name)) != found.state.tag:
                    suspects.new[path] = found.state.tag
                if is_directory:
                    stack.append(path)
        for path in {join(directory, name) for name in records} | set(announced):
            record = records.get(path.rpartition("/")[2])
            tag = self._known(path, announced.get(path, UNKNOWN), record)
            if path not in there and tag is not None:
                self._suspect_gone(suspects, path, tag, record)
                if record is None or record.content.kind == "directory":
                    stack.append(path)
        return len(there)

    def _suspect_gone(
        self, suspects: _Suspects, path: str, tag: bytes, record: Record | None
    ) -> None:
        if len(suspects.gone) >= SUSPECTS_MAX:
            # The rest is found by the next scan, unless the brake holds what was found by then.
            self._is_unfinished = True
            return
        counts, is_file, size = True, True, 0
        if record is not None:
            others = any(service != self._id for service in record.holders)
            is_leaving = self._id in record.leaving
            counts = others and record.is_current_on(self._id) and not is_leaving
            is_file, size = record.content.kind != "directory", record.content.size
        suspects.gone[path] = (tag, counts, is_file, size)

    def _listed(self, directory: str) -> list[Found] | None:
        try:
            return [found for page in self._folder.list(directory) for found in page]
        except Fault as fault:
            if fault.kind in ("not_found", "not_a_directory") and directory:
                return []
            if fault.kind in ("not_found", "not_a_directory", "unavailable"):
                raise Fault("unavailable", fault.message) from fault
            self._note(directory, fault)
            return None

    async def _find_orphans(self, seen: set[bytes], suspects: _Suspects) -> None:
        """Records below what is no directory any more: the walk can't come by them."""
        cursor, is_first = 0, True
        while is_first or cursor:
            is_first = False
            cursor, directories = await self._store.directories(cursor)
            for directory in directories:
                if _mark(directory) in seen:
                    continue
                for name, record in (await self._store.listing(directory)).items():
                    tag = self._known(join(directory, name), UNKNOWN, record)
                    if tag is not None:
                        self._suspect_gone(suspects, join(directory, name), tag, record)

    async def _settle(self, suspects: _Suspects) -> None:
        """Looks at the suspects: renames first, then what is new, then what is gone."""
        ignoring = [path for path in suspects.new if path.rpartition("/")[2] == IGNORE_FILE]
        if ignoring:
            # What these say holds for all that is told after the Referee has taken them.
            await self._look(ignoring)
            await self._announcer.committed()
        by_tag = {it[0]: path for path, it in suspects.gone.items()}
        moved: list[str] = []
        for path, tag in suspects.new.items():
            old = by_tag.pop(tag, None)
            if old is not None:
                del suspects.gone[old]
                moved += [old, path]
        lost = [(path, it[3]) for path, it in suspects.gone.items() if it[1] and it[2]]
        verdict = self.brake.judge(lost, suspects.files + len(lost))
        for at in range(0, len(moved), LOOK_AT_ONCE):
            await self._look(moved[at : at + LOOK_AT_ONCE])
        for path in moved:
            suspects.new.pop(path, None)
        await self._look(list(suspects.new))
        gone = sorted(suspects.gone, reverse=True)
        if verdict != "tell":
            held = [path for path in gone if suspects.gone[path][1]]
            gone = [path for path in gone if not suspects.gone[path][1]]
            if verdict == "bring_back":
                await self._bring_back(sorted(held))
        await self._look(gone)

    async def _look(self, paths: list[str]) -> None:
        for at in range(0, len(paths), LOOK_AT_ONCE):
            await self._look_at(paths[at : at + LOOK_AT_ONCE])

    async def _look_at(self, paths: list[str]) -> None:
        """Looks at paths together, and tells what differs: what appeared before what is gone."""
        async with self.claims.free_ones(paths) as free:
            # What an order is at work on is seen by the next scan.
            self._is_unfinished |= len(free) < len(paths)
            found = await asyncio.gather(*(self._find(path) for path in free))
            findings = [finding for finding in found if finding is not None]
            gone = {it.known: it.path for it in findings if it.state is None and it.known}
            events: list[Event] = []
            moved_to: dict[str, str] = {}
            new = [it for it in findings if it.state and it.known != it.state.tag]
            olds = [gone.pop(it.state.tag, None) if it.state else None for it in new]
            described = (self._described(it, old) for it, old in zip(new, olds, strict=True))
            told = await asyncio.gather(*described)
            for finding, old, event in zip(new, olds, told, strict=True):
                if event is not None:
                    events.append(event)
                    if old is not None:
                        moved_to[old] = finding.path
            for finding in findings:
                if finding.state is None and finding.known is not None:
                    to = moved_to.get(finding.path)
                    self.forget_told(finding.path)
                    gone_event = {"path": finding.path, "order": None, "moved_to": to}
                    events.append({"gone": gone_event})
            await self._announcer.announce(events)

    async def _find(self, path: str) -> _Finding | None:
        """What is at a path and what is known of it; `None` if that can't be told."""
        async with self._at_once:
            announced = self._announcer.known(path)
            record = await self._store.record(path)
            try:
                state = await asyncio.to_thread(self._folder.look, path)
            except Fault as fault:
                if fault.kind == "unavailable":
                    raise
                self._note(path, fault)
                return None
            return _Finding(path, record, self._known(path, announced, record), state)

    async def _described(self, finding: _Finding, moved_from: str | None) -> Event | None:
        """The event for what is there; `None` while it is being written, or told already."""
        path, state, record = finding.path, finding.state, finding.record
        assert state is not None, "only what is there is described"
        told = self._told.get(path)
        if record is None and told is not None and told[0] == state.tag:
            return None  # Ignored by the rules, or none of this backup's business.
        if self._is_being_written(path, state):
            self._is_unfinished = True
            return None
        try:
            async with self._at_once:
                state = await self._with_checksum(finding, state)
            if path.rpartition("/")[2] == IGNORE_FILE:
                await self._tell_ignore_file(path, state)
        except Fault as fault:
            if fault.kind == "unavailable":
                raise
            if fault.kind == "changed":
                self._is_unfinished = True
            else:
                self._note(path, fault)
            return None
        if record is None and len(self._told) < SUSPECTS_MAX:
            self._told[path] = (state.tag, time.monotonic())
        seen = {"path": path, "state": state.wire(), "order": None, "placed": None}
        return {"seen": {**seen, "moved_from": moved_from, "set_aside_from": None}}

    def _is_being_written(self, path: str, state: State) -> bool:
        """Whether it was written just now: it is told when it has been quiet for a moment."""
        age = time.time() - state.content.mtime_ns / 1e9
        is_full = len(self._writing) >= SUSPECTS_MAX and path not in self._writing
        if state.content.kind != "file" or not 0 <= age < QUIET_S or is_full:
            self._writing.pop(path, None)
            return False
        since = self._writing.setdefault(path, time.monotonic())
        return time.monotonic() - since < QUIET_LAST_S

    async def _with_checksum(self, finding: _Finding, state: State) -> State:
        """Reads what is small, was only touched, or may be an earlier revision."""
        if state.content.kind == "directory":
            return state
        record, path = finding.record, finding.path
        is_current = record is not None and record.is_current_on(self._id)
        was_touched = (
            is_current and record is not None and record.content.size == state.content.size
        )
        is_behind = record is not None and not is_current
        if was_touched or is_behind or state.content.size <= INLINE_BYTES_MAX:
            return state.with_checksum(
                await asyncio.to_thread(read_whole, self._folder, path, state)
            )
        # A file nobody may read is this service's problem, not that of all who would pull it.
        source = await asyncio.to_thread(self._folder.open, path, state.tag)
        source.close()
        return state

    async def _tell_ignore_file(self, path: str, state: State) -> None:
        content = state.content
        if content.kind == "file" and content.size <= IGNORE_BYTES_MAX and content.checksum:
            source = await asyncio.to_thread(self._folder.open, path, state.tag)
            try:
                said = source.next(content.size) if content.size else b""
            finally:
                source.close()
            if hashlib.sha1(said).digest() != content.checksum:
                raise Fault("changed", f"`{path}` changed while it was read")
            text = said.decode(errors="replace")
            await self._store.tell_ignore_file(self._id, path, content.checksum, text)

    async def _bring_back(self, paths: list[str]) -> None:
        """Nobody meant to delete them: the service wants them back."""
        for at in range(0, len(paths), LOOK_AT_ONCE):
            async with self.claims.free_ones(paths[at : at + LOOK_AT_ONCE]) as free:
                lost: list[Event] = []
                for path in free:
                    finding = await self._find(path)
                    if finding and finding.state is None and finding.known is not None:
                        lost.append({"lost": {"path": path}})
                await self._announcer.announce(lost)

    def _note(self, path: str, fault: Fault) -> None:
        if len(self._problems) < PROBLEMS_MAX:
            self._problems[path] = fault.message


@dataclass
class _Finding:
    """A path that was looked at."""

    path: str
    record: Record | None
    known: bytes | None
    state: State | None


def read_whole(folder: Folder, path: str, state: State) -> bytes:
    """The checksum of a file in exactly this state."""
    source, total = folder.open(path, state.tag), hashlib.sha1()
    try:
        while chunk := source.next(1 << 20):
            total.update(chunk)
    finally:
        source.close()
    return total.digest()


def _mark(directory: str) -> bytes:
    """What a visited directory is remembered by, in few bytes."""
    return hashlib.blake2b(directory.encode(), digest_size=8).digest()
