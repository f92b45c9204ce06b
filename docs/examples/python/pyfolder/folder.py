"""The storage: a folder of this machine, through the promises that `onitu-plug` asks of a driver.

Everything here may block, and may be called from several threads, except that no two calls change
one path at once. Names are resolved step by step below the root, and no link is ever followed.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from . import disk
from .disk import DIRECTORY_FLAGS, fault_of, state_of, status_at
from .place import Sink, give_name_of_its_own, take_away
from .words import OWN, Content, Fault, State, check_path, join

PAGE = 1_000
KEPT_S = 7 * 24 * 3600
"""What was left half written is kept for so long, to be taken up again."""


@dataclass(frozen=True)
class Found:
    """One name of a listing: its state, or the fault that keeps it from being synchronized."""

    name: str
    state: State | None = None
    fault: Fault | None = None


class _Locks:
    """The locks this process holds, by inode of the root: several connections share one."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], tuple[int, int]] = {}
        self._mutex = threading.Lock()

    def take(self, own: int, key: tuple[int, int]) -> None:
        with self._mutex:
            if key in self._held:
                fd, count = self._held[key]
                self._held[key] = (fd, count + 1)
                return
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(b"lock", flags, 0o600, dir_fd=own)
            for left in range(20, -1, -1):
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if left == 0:
                        os.close(fd)
                        raise
                    time.sleep(0.1)
            self._held[key] = (fd, 1)

    def give_back(self, key: tuple[int, int]) -> None:
        with self._mutex:
            fd, count = self._held.pop(key)
            if count > 1:
                self._held[key] = (fd, count - 1)
            else:
                os.close(fd)


_LOCKS = _Locks()


class Folder:
    """A folder that belongs to one service alone."""

    def __init__(self, root: str, service: str, known: bool) -> None:
        """Opens it; nothing is created in the place of a root that isn't there."""
        self.root, self._open = root, True
        try:
            self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            message = f"the folder `{root}` can't be opened ({error.strerror}): is it mounted?"
            raise Fault("unavailable", message) from error
        about = os.fstat(self._fd)
        self._inode = (about.st_dev, about.st_ino)
        try:
            self._own = self._claim(service, known)
        except BaseException:
            os.close(self._fd)
            raise
        try:
            self.tmp = self._open_tmp()
        except BaseException:
            _LOCKS.give_back(self._inode)
            os.close(self._own)
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Lets the folder go."""
        if self._open:
            self._open = False
            _LOCKS.give_back(self._inode)
            for fd in (self.tmp, self._own, self._fd):
                os.close(fd)

    def _claim(self, service: str, known: bool) -> int:
        """Takes the lock and reads the marker, or makes it in a folder that is new to Onitu."""
        try:
            if not known:
                with suppress(FileExistsError):
                    os.mkdir(OWN.encode(), 0o700, dir_fd=self._fd)
            own = os.open(OWN.encode(), DIRECTORY_FLAGS, dir_fd=self._fd)
        except FileNotFoundError:
            raise self._lost() from None
        except OSError as error:
            raise Fault("unavailable", fault_of(error, f"use `{self.root}`").message) from error
        try:
            _LOCKS.take(own, self._inode)
        except BlockingIOError:
            os.close(own)
            message = f"another process works in `{self.root}`: it has to end first"
            raise Fault("unavailable", message) from None
        try:
            self._said = self._marker(own, service, known)
        except BaseException:
            _LOCKS.give_back(self._inode)
            os.close(own)
            raise
        return own

    def _marker(self, own: int, service: str, known: bool) -> dict[str, Any]:
        said = _read_marker(own)
        if said is None and known:
            raise self._lost()
        if said is None:
            said = {"service": service, "id": secrets.token_hex(8)}
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(b"service.new", flags, 0o600, dir_fd=own)
            try:
                os.write(fd, json.dumps(said).encode())
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(b"service.new", b"service", src_dir_fd=own, dst_dir_fd=own)
            os.fsync(own)
            os.fsync(self._fd)
        if said.get("service") != service:
            message = f"`{self.root}` belongs to the service `{said.get('service')}`"
            raise Fault("unavailable", f"{message}: give each service a folder of its own")
        return said

    def _lost(self) -> Fault:
        message = f"the folder `{self.root}` has lost its marker `{OWN}/service`: is it mounted?"
        return Fault("unavailable", message)

    def _open_tmp(self) -> int:
        """Opens the directory of what is being written, and sees to what an earlier run left."""
        try:
            with suppress(FileExistsError):
                os.mkdir(b"tmp", 0o700, dir_fd=self._own)
            tmp = os.open(b"tmp", DIRECTORY_FLAGS, dir_fd=self._own)
        except OSError as error:
            raise Fault("unavailable", fault_of(error, f"use `{self.root}`").message) from error
        for name in os.listdir(tmp):
            self._see_to(tmp, os.fsencode(name))
        return tmp

    def _see_to(self, tmp: int, name: bytes) -> None:
        """What was moved here to be replaced or removed has its expected tags in its name."""
        status = os.stat(name, dir_fd=tmp, follow_symlinks=False)
        kind, _, rest = os.fsdecode(name).partition("-")
        if kind == "w":
            if abs(time.time() - status.st_ctime) > KEPT_S:
                os.unlink(name, dir_fd=tmp)
        elif kind in ("x", "r"):
            state = state_of(status)
            if state is not None and state.tag.hex() in rest.split("-")[:-1]:
                os.unlink(name, dir_fd=tmp)
            else:
                give_name_of_its_own(tmp, name, self._fd, "found after a crash")
        else:
            os.unlink(name, dir_fd=tmp)

    def check(self) -> None:
        """Fails unless the folder is still there and the one that was opened."""
        try:
            about = os.stat(self.root)
        except OSError:
            about = None
        if about is None or (about.st_dev, about.st_ino) != self._inode:
            message = f"the folder `{self.root}` is gone or another one stands in its place"
            raise Fault("unavailable", f"{message}: is the disk mounted?")
        with self._in_own() as own:
            if _read_marker(own) != self._said:
                raise self._lost()

    @contextmanager
    def _in_own(self) -> Iterator[int]:
        try:
            own = os.open(OWN.encode(), DIRECTORY_FLAGS, dir_fd=self._fd)
        except OSError:
            raise self._lost() from None
        try:
            yield own
        finally:
            os.close(own)

    @contextmanager
    def inside(self, directory: str, make: bool = False) -> Iterator[int]:
        """The open directory at a path, its missing parts made if wanted."""
        fd = os.dup(self._fd)
        try:
            for part in directory.split("/") if directory else []:
                name = part.encode()
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=fd)
                        os.fsync(fd)
                below = os.open(name, DIRECTORY_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        except OSError as error:
            raise fault_of(error, f"work in `{directory or self.root}`") from error
        finally:
            os.close(fd)

    @contextmanager
    def above(self, path: str, make: bool = False) -> Iterator[tuple[int, bytes]]:
        """The open directory that holds a path, and the path's name in it."""
        check_path(path)
        if not path:
            raise Fault("invalid_name", "the root itself can't be changed")
        if make:
            # Not made anew in the place of a root that has gone.
            self.check()
        directory, _, name = path.rpartition("/")
        with self.inside(directory, make) as fd:
            yield fd, name.encode()

    def look(self, path: str) -> State | None:
        """What is at a path now; `None` if certainly nothing."""
        if not path:
            self.check()
            return state_of(os.fstat(self._fd))
        try:
            with self.above(path) as (fd, name):
                status = status_at(fd, name)
        except Fault as fault:
            if fault.kind not in ("not_found", "not_a_directory"):
                raise
            status = None
        if status is None:
            # What is missing because the folder is gone isn't missing but unknown.
            self.check()
            return None
        state = state_of(status)
        if state is None:
            raise Fault("unsupported", f"`{path}` is a link, or no file: it stays where it is")
        return state

    def list(self, directory: str) -> Iterator[list[Found]]:
        """Everything directly inside a directory, in pages. Complete, or it fails."""
        check_path(directory)
        self.check()
        with self.inside(directory) as fd:
            page: list[Found] = []
            with os.scandir(fd) as names:
                for entry in names:
                    if directory or entry.name != OWN:
                        page.extend(_found(fd, directory, os.fsencode(entry.name)))
                    if len(page) >= PAGE:
                        yield page
                        page = []
            self.check()
            yield page

    def open(self, path: str, tag: bytes, offset: int = 0) -> Source:
        """Opens a file for reading, if its tag is `tag`."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        changed = Fault("changed", f"`{path}` is not what was expected there")
        try:
            with self.above(path) as (directory, name):
                fd = os.open(name, flags, dir_fd=directory)
        except Fault as fault:
            if fault.kind in ("not_found", "not_a_directory"):
                self.check()
                raise changed from None
            raise
        state = state_of(os.fstat(fd))
        if state is None or state.tag != tag or state.content.kind != "file":
            os.close(fd)
            raise changed
        return Source(self, path, state, fd, offset)

    def begin(self, path: str, content: Content, key: int) -> Sink:
        """Begins to write a file, invisible until it is placed."""
        if content.kind != "file":
            raise Fault("unsupported", f"a {content.kind} can't be kept here: `{path}`")
        if not check_path(path):
            raise Fault("invalid_name", "the root itself can't be written")
        return Sink(self, path, f"w-{key:016x}")

    def make_directory(self, path: str, expect: bytes | None) -> State:
        """Makes a directory where `expect` stands, its parents too."""
        with self.above(path, make=True) as (fd, name):
            there = self.look(path)
            if there is None or there.content.kind != "directory":
                self._expect(path, there, expect)
                if there is not None:
                    take_away(self, fd, name, there.tag, path)
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=fd)
                os.fsync(fd)
        state = self.look(path)
        if state is None or state.content.kind != "directory":
            raise Fault("changed", f"`{path}` was changed just now")
        return state

    def set_attributes(self, path: str, expect: bytes, content: Content) -> State:
        """Sets time and executable bit: a copy is placed, so that no edit goes unnoticed."""
        source = self.open(path, expect)
        sink = Sink(self, path, f"c-{secrets.token_hex(8)}")
        try:
            while chunk := source.next(1 << 20):
                sink.write(chunk)
            mtime_ns = content.mtime_ns or source.content.mtime_ns
            wanted = Content("file", source.content.size, mtime_ns, content.executable)
            return sink.place(wanted, expect)
        except BaseException:
            sink.discard()
            raise
        finally:
            source.close()

    def rename(self, old: str, expect: bytes, new: str, expect_new: bytes | None) -> State:
        """Renames without moving the bytes, where both names are as expected."""
        state = self.look(old)
        self._expect(old, state, expect)
        self._expect(new, self.look(new), expect_new)
        with self.above(old) as (fd, name), self.above(new, make=True) as (new_fd, new_name):
            if expect_new is not None:
                take_away(self, new_fd, new_name, expect_new, new)
            try:
                if not disk.rename_to_free(fd, name, new_fd, new_name):
                    raise Fault("changed", f"something appeared at `{new}`")
            except FileNotFoundError:
                raise Fault("changed", f"`{old}` was removed just now") from None
            moved = status_at(new_fd, new_name)
            now = None if moved is None else state_of(moved)
            if now is None or now.tag != expect:
                if not disk.rename_to_free(new_fd, new_name, fd, name):
                    give_name_of_its_own(new_fd, new_name, new_fd, "changed meanwhile")
                raise Fault("changed", f"`{old}` was changed just now")
            os.fsync(new_fd)
            os.fsync(fd)
            return now

    def remove(self, path: str, expect: bytes) -> None:
        """Removes what is at a path, in exactly this state; what is gone already is fine."""
        there = self.look(path)
        if there is None:
            return
        self._expect(path, there, expect)
        with self.above(path) as (fd, name):
            take_away(self, fd, name, expect, path)
            os.fsync(fd)

    @staticmethod
    def _expect(path: str, there: State | None, expect: bytes | None) -> None:
        if (None if there is None else there.tag) != expect:
            raise Fault("changed", f"`{path}` is not what was expected there")


class Source:
    """Reads one file in one state."""

    def __init__(self, folder: Folder, path: str, state: State, fd: int, offset: int) -> None:
        self._folder, self._path, self._state = folder, path, state
        self._fd, self._at, self.content = fd, offset, state.content
        self._mutex = threading.Lock()

    def next(self, most: int) -> bytes:
        """The next bytes; at the end empty, if the path kept its state until then."""
        with self._mutex:
            chunk = os.pread(self._fd, most, self._at)
        self._at += len(chunk)
        if not chunk or self._at > self.content.size:
            with self._mutex:
                now = state_of(os.fstat(self._fd))
            there = self._folder.look(self._path)
            if now != self._state or there != self._state:
                raise Fault("changed", f"`{self._path}` changed while it was read")
        return chunk

    def close(self) -> None:
        """Lets it go; may be repeated."""
        with self._mutex:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


def _found(fd: int, directory: str, name: bytes) -> list[Found]:
    """One entry of a listing; none if it went meanwhile."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        shown = name.decode(errors="backslashreplace")
        return [Found(shown, fault=Fault("invalid_name", f"`{shown}` is no UTF-8: rename it"))]
    try:
        path = check_path(join(directory, text))
        status = status_at(fd, name)
    except Fault as fault:
        return [Found(text, fault=fault)]
    except OSError as error:
        return [Found(text, fault=fault_of(error, f"look at `{text}`"))]
    if status is None:
        return []
    state = state_of(status)
    if state is None:
        return [Found(text, fault=Fault("unsupported", f"`{path}` is a link, or no file"))]
    return [Found(text, state)]


def _read_marker(own: int) -> dict[str, Any] | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(b"service", flags, dir_fd=own)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fault("unavailable", fault_of(error, "read the marker").message) from error
    try:
        said = json.loads(os.read(fd, 64 * 1024))
    except (OSError, ValueError) as error:
        raise Fault("unavailable", f"the marker `{OWN}/service` is damaged: {error}") from error
    finally:
        os.close(fd)
    return said if isinstance(said, dict) else {}
