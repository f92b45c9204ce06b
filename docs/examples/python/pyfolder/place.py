"""Putting in place, and taking away: the moments in which a user's file could be lost.

Both move what was expected to a name of the driver's own first, and look at what came there: if it
is something else, it was a user's just now, and goes back. The tags that were expected stand in
that name, so that after a crash what is found there is told from a user's file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from . import disk
from .disk import fault_of, state_of, status_at
from .words import THE_EPOCH_NS, Content, Fault, State, split_name

if TYPE_CHECKING:
    from .folder import Folder


class Sink:
    """Writes one file under a name of the driver's own, until it is placed."""

    def __init__(self, folder: Folder, path: str, name: str) -> None:
        self._folder, self._path, self._name = folder, path, name.encode()
        self._size = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(self._name, flags, 0o600, dir_fd=folder.tmp)
        except OSError as error:
            raise fault_of(error, f"write `{path}`") from error
        # Who gives it up while a thread writes waits for that thread: the number of a descriptor
        # that was closed under it may be another file's by then.
        self._mutex = threading.RLock()

    def resumed(self) -> tuple[int, hashlib._Hash]:
        """What an interrupted attempt of the same key has written, and its SHA-1 so far."""
        total = hashlib.sha1()
        with self._mutex:
            self._size = 0
            while chunk := os.pread(self._fd, 1 << 20, self._size):
                total.update(chunk)
                self._size += len(chunk)
        return self._size, total

    def write(self, chunk: bytes) -> None:
        """Appends; written is not yet durable."""
        view = memoryview(chunk)
        try:
            with self._mutex:
                while view:
                    done = os.pwrite(self._fd, view, self._size)
                    self._size += done
                    view = view[done:]
        except OSError as error:
            raise fault_of(error, f"write `{self._path}`") from error

    def place(self, content: Content, expect: bytes | None) -> State:
        """Puts it where `expect` stands, durably and in one step; what can't be is discarded."""
        with self._mutex:
            try:
                return self._place(content, expect)
            except OSError as error:
                raise fault_of(error, f"place `{self._path}`") from error
            finally:
                self.discard()

    def _place(self, content: Content, expect: bytes | None) -> State:
        folder, path = self._folder, self._path
        os.ftruncate(self._fd, self._size)
        there = None if expect is None else folder.look(path)
        if expect is not None and (there is None or there.tag != expect):
            raise Fault("changed", f"`{path}` is not what was expected there")
        with folder.above(path, make=True) as (fd, name):
            os.fchmod(self._fd, _mode(fd, name, there, content.executable))
            # Before what can't be undone, so that the state is known and no edit is taken for it.
            if content.mtime_ns != 0:
                mtime_ns = 0 if content.mtime_ns == THE_EPOCH_NS else content.mtime_ns
                os.utime(self._fd, ns=(mtime_ns, mtime_ns))
            os.fsync(self._fd)
            state = state_of(os.fstat(self._fd))
            assert state is not None, "a file that was just written is a file"
            if there is not None and there.content.kind == "file":
                self._swap(fd, name, there, state)
            else:
                if there is not None:
                    take_away(folder, fd, name, there.tag, path)
                if not disk.rename_to_free(folder.tmp, self._name, fd, name):
                    raise Fault("changed", f"something stands at `{path}`")
            os.fsync(fd)
            return state

    def _swap(self, fd: int, name: bytes, old: State, new: State) -> None:
        """Exchanges the old file for the new one, and looks at what came out."""
        tmp = self._folder.tmp
        swapped = f"x-{old.tag.hex()}-{new.tag.hex()}-{secrets.token_hex(4)}".encode()
        os.rename(self._name, swapped, src_dir_fd=tmp, dst_dir_fd=tmp)
        self._name = swapped
        try:
            disk.exchange(tmp, swapped, fd, name)
        except FileNotFoundError:
            raise Fault("changed", f"`{self._path}` was removed just now") from None
        if _is(tmp, swapped, old.tag):
            return
        # A user's, from just now: it goes back, and ours comes here again.
        try:
            disk.exchange(tmp, swapped, fd, name)
        except FileNotFoundError:
            if not disk.rename_to_free(tmp, swapped, fd, name):
                give_name_of_its_own(tmp, swapped, fd, "changed meanwhile")
        except OSError:
            # It stays where it is, and the next start finds it.
            self.keep()
            raise
        else:
            if not _is(tmp, swapped, new.tag):
                give_name_of_its_own(tmp, swapped, fd, "changed meanwhile")
        raise Fault("changed", f"`{self._path}` was changed just now")

    def discard(self) -> None:
        """Throws away what isn't in place; may be repeated."""
        with self._mutex:
            if self._fd >= 0:
                self.keep()
                with suppress(FileNotFoundError):
                    os.unlink(self._name, dir_fd=self._folder.tmp)

    def keep(self) -> None:
        """Lets it go, but leaves what was written to a later attempt of the same key."""
        with self._mutex:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


def take_away(folder: Folder, fd: int, name: bytes, expect: bytes, path: str) -> None:
    """Removes what is at a name in the state `expect`; the caller makes it durable."""
    tmp = folder.tmp
    status = status_at(fd, name)
    if status is None:
        return
    there = state_of(status)
    if there is None or there.tag != expect:
        raise Fault("changed", f"`{path}` is not what was expected there")
    try:
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(name, dir_fd=fd)
            return
        away = f"r-{expect.hex()}-{secrets.token_hex(4)}".encode()
        if not disk.rename_to_free(fd, name, tmp, away):
            raise Fault("bug", f"`{away.decode()}` is taken")
    except FileNotFoundError:
        return
    except OSError as error:
        # Some file systems say so of a directory that isn't empty.
        kind = errno.ENOTEMPTY if error.errno == errno.EEXIST else error.errno
        raise fault_of(OSError(kind, error.strerror), f"remove `{path}`") from error
    if _is(tmp, away, expect):
        os.unlink(away, dir_fd=tmp)
        return
    if not disk.rename_to_free(tmp, away, fd, name):
        give_name_of_its_own(tmp, away, fd, "changed meanwhile")
    raise Fault("changed", f"`{path}` was changed just now")


def give_name_of_its_own(from_fd: int, name: bytes, to_fd: int, why: str) -> None:
    """Keeps a user's content that has lost its name under another one; never overwrites."""
    stem, extension = split_name(os.fsdecode(name))
    stem = stem if from_fd == to_fd else "file"
    while True:
        new = f"{stem} ({why} {secrets.token_hex(4)}){extension}"
        if disk.rename_to_free(from_fd, name, to_fd, os.fsencode(new)):
            os.fsync(to_fd)
            return


def _is(fd: int, name: bytes, tag: bytes) -> bool:
    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    state = state_of(status)
    return state is not None and state.tag == tag


def _mode(fd: int, name: bytes, there: State | None, executable: bool) -> int:
    """The permissions of the new file: those of the one that it replaces, if it does."""
    if there is None or there.content.kind != "file":
        mode = 0o666 & ~_umask()
    else:
        mode = stat.S_IMODE(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode) & 0o777
    # Executable by whoever may read it.
    return mode | 0o100 | (mode & 0o444) >> 2 if executable else mode & ~0o111


def _umask() -> int:
    """What new files don't get; asked without changing it for another thread."""
    with open("/proc/self/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022
