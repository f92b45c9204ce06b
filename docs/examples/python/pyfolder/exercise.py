"""The driver alone: its storage's methods over stdin and stdout, for `onitu driver test`.

Calls run in threads. A frame is its length, a version byte and MessagePack, as the section
*Exercise* of `docs/protocol.md` says.
"""

from __future__ import annotations

import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any, BinaryIO

import msgpack

from .disk import fault_of
from .folder import Folder, Found, Source
from .manifest import ABILITIES
from .place import Sink
from .words import PROTOCOL, Content, Fault, State, join

FRAME_BYTES_MAX = 16 * 1024 * 1024
THREADS = 64
POLL_S = 0.5


class _Dropped(Exception):
    """Nobody wants the answer any more."""


class _Connection:
    """An open folder, and what its watch and those who settle say to each other."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.changed = folder, threading.Condition()
        self.watches = self.asked = self.answered = 0


class _Call:
    """A call under way, and what it opened."""

    def __init__(self, on: _Call | None) -> None:
        self.on = on
        self.opened: _Connection | Source | Sink | None = None
        self.dropped, self.done = threading.Event(), threading.Event()
        self.wanted, self.more = threading.Semaphore(0), True


class _Exercise:
    def __init__(self, said: BinaryIO) -> None:
        self._said, self._mutex = said, threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._pool = ThreadPoolExecutor(THREADS)

    def _say(self, number: int, name: str, value: Any) -> None:
        body = bytes([PROTOCOL]) + msgpack.packb({"id": number, name: value})
        with self._mutex:
            self._said.write(struct.pack("<I", len(body)) + body)
            self._said.flush()

    def hear(self, asked: dict[str, Any]) -> None:
        """Begins a call, or does what is to be done before the next frame is looked at."""
        number, said, on = asked["id"], asked["call"], asked.get("on") or 0
        name, fields = (said, {}) if isinstance(said, str) else next(iter(said.items()))
        if name == "drop":
            self._drop(on)
        elif name == "wanted":
            if on in self._calls:
                self._calls[on].more = bool(fields.get("more"))
                self._calls[on].wanted.release()
        else:
            call = self._calls[number] = _Call(self._calls.get(on))
            self._pool.submit(self._run, number, call, name, fields or {})

    def _run(self, number: int, call: _Call, name: str, fields: dict[str, Any]) -> None:
        try:
            if not call.dropped.is_set():
                answer = self._answer(number, call, name, fields)
                # What was opened is open before anybody hears of it; all else is over.
                if call.opened is None:
                    self._calls.pop(number, None)
                self._end(number, call, "answer", answer)
        except _Dropped:
            pass
        except Fault as fault:
            self._fail(number, call, fault)
        except OSError as error:
            self._fail(number, call, fault_of(error, name))
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            self._fail(number, call, Fault("bug", f"{name}: {error!r}"))
        finally:
            call.done.set()

    def _fail(self, number: int, call: _Call, fault: Fault) -> None:
        self._calls.pop(number, None)
        self._end(number, call, "fault", fault.wire())

    def _end(self, number: int, call: _Call, name: str, value: Any) -> None:
        if not call.dropped.is_set():
            self._say(number, name, value)

    def _drop(self, number: int) -> None:
        """Ends a call between two whole steps, and closes what it opened."""
        call = self._calls.pop(number, None)
        if call is None:
            return
        call.dropped.set()
        call.wanted.release()
        for below, other in list(self._calls.items()):
            if other.on is call:
                self._drop(below)
        call.done.wait()
        if isinstance(call.opened, _Connection):
            call.opened.folder.close()
        elif isinstance(call.opened, Sink):
            call.opened.keep()
        elif call.opened is not None:
            call.opened.close()

    def close(self) -> None:
        """Drops everything."""
        for number in list(self._calls):
            self._drop(number)
        self._pool.shutdown()

    def _answer(self, number: int, call: _Call, name: str, fields: dict[str, Any]) -> Any:
        on = call.on
        if name == "read_options":
            _root(fields["options"])
            return "done"
        if name == "connect":
            root, setting = _root(fields["options"]), fields["setting"]
            folder = Folder(root, setting["service"], bool(setting.get("known")))
            call.opened = _Connection(folder)
            return {"connected": {"abilities": ABILITIES, "listing_lag_ms": 0}}
        if on is not None and isinstance(on.opened, _Connection):
            if name == "list":
                return self._list(number, call, on.opened.folder, fields["directory"])
            if name == "watch":
                return self._watch(number, call, on.opened)
            if name == "settle":
                return _settle(call, on.opened)
            return _on_folder(call, on.opened.folder, name, fields)
        if on is not None and isinstance(on.opened, Source) and name == "next":
            return {"chunk": on.opened.next(fields["max"])}
        if on is not None and isinstance(on.opened, Sink):
            return self._on_sink(on, on.opened, name, fields)
        raise Fault("bug", f"`{name}` was called on what isn't open")

    def _on_sink(self, on: _Call, sink: Sink, name: str, fields: dict[str, Any]) -> Any:
        if name == "resumed":
            written, total = sink.resumed()
            return {"resumed": {"bytes": written, "checksum": total.digest()}}
        if name == "push":
            sink.write(fields["bytes"])
            return "done"
        for number, call in list(self._calls.items()):
            if call is on:
                del self._calls[number]
        if name == "place":
            expect = fields.get("expect")
            return {"state": sink.place(Content.read(fields["content"]), expect).wire()}
        if name == "discard":
            sink.discard()
            return "done"
        raise Fault("bug", f"`{name}` was called on a sink")

    def _list(self, number: int, call: _Call, folder: Folder, directory: str) -> Any:
        waits = False
        for page in folder.list(directory):
            if waits:
                call.wanted.acquire()
                if call.dropped.is_set():
                    raise _Dropped
                if not call.more:
                    break
            if page:
                self._say(number, "page", [_entry(found) for found in page])
                waits = True
        return "done"

    def _watch(self, number: int, call: _Call, at: _Connection) -> Any:
        """Polls: whenever anything differs from the round before, everything is to be scanned."""
        before, at.watches = _fingerprint(at.folder), at.watches + 1
        try:
            self._say(number, "hints", {"paths": [], "rescan": "the watch has begun"})
            while True:
                with at.changed:
                    at.changed.wait_for(lambda: at.asked > at.answered, POLL_S)
                    asked = at.asked
                if call.dropped.is_set():
                    raise _Dropped
                now = _fingerprint(at.folder)
                if now != before:
                    self._say(number, "hints", {"paths": [], "rescan": "something has changed"})
                before = now
                with at.changed:
                    at.answered = asked
                    at.changed.notify_all()
        finally:
            with at.changed:
                at.watches -= 1
                at.changed.notify_all()


def _settle(call: _Call, at: _Connection) -> Any:
    with at.changed:
        at.asked += 1
        mine = at.asked
        at.changed.notify_all()
        while at.watches > 0 and at.answered < mine and not call.dropped.is_set():
            at.changed.wait(POLL_S)
    return "done"


def _on_folder(call: _Call, folder: Folder, name: str, fields: dict[str, Any]) -> Any:
    path: str = fields.get("path", "")
    expect: Any = fields.get("expect")
    if name == "check":
        folder.check()
        return "done"
    if name == "look":
        state = folder.look(path)
        return {"looked": None if state is None else state.wire()}
    if name == "read":
        call.opened = folder.open(path, fields["tag"], fields["offset"])
        return {"reading": call.opened.content.wire()}
    if name == "write":
        call.opened = folder.begin(path, Content.read(fields["content"]), fields["resume"])
        return "done"
    if name == "make_directory":
        return _state(folder.make_directory(path, expect))
    if name == "set_attributes":
        return _state(folder.set_attributes(path, expect, Content.read(fields["content"])))
    if name == "rename":
        old, expect_old = fields["from"], fields["expect_from"]
        return _state(folder.rename(old, expect_old, fields["to"], fields["expect_to"]))
    if name == "remove":
        folder.remove(path, expect)
        return "done"
    raise Fault("unsupported", f"this driver can't do that (`{name}`)")


def _state(state: State) -> Any:
    return {"state": state.wire()}


def _entry(found: Found) -> Any:
    if found.state is not None:
        return {"entry": {"name": found.name, "state": found.state.wire()}}
    fault = found.fault or Fault("bug", "neither a state nor a fault")
    return {"problem": {"name": found.name, "fault": fault.wire()}}


def _fingerprint(folder: Folder) -> int:
    """A number that is another one when anything in the folder is; in bounded memory."""
    total, stack = 0, [""]
    while stack:
        directory = stack.pop()
        try:
            for page in folder.list(directory):
                for found in page:
                    path = join(directory, found.name)
                    tag = b"" if found.state is None else found.state.tag
                    total += int.from_bytes(blake2b(path.encode() + tag, digest_size=8).digest())
                    if found.state is not None and found.state.content.kind == "directory":
                        stack.append(path)
        except Fault as fault:
            if fault.kind == "unavailable":
                raise
            total += 1
    return total


def _root(options: dict[str, Any]) -> str:
    root = options.get("root")
    if not isinstance(root, str):
        raise Fault("unavailable", "the option `root` is the path of a folder")
    return root


def exercise(asked: BinaryIO, said: BinaryIO) -> int:
    """Answers until `asked` ends."""
    desk = _Exercise(said)
    try:
        while head := asked.read(4):
            size = struct.unpack("<I", head)[0] if len(head) == 4 else 0
            body = asked.read(size) if 0 < size <= FRAME_BYTES_MAX else b""
            if len(body) != size or not body or body[0] != PROTOCOL:
                raise ValueError("a frame is cut off, too long, or of another version")
            desk.hear(msgpack.unpackb(memoryview(body)[1:]))
    except (ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
        print(f"error: what was heard can't be read: {error}", file=sys.stderr)
        return 1
    finally:
        desk.close()
    return 0
