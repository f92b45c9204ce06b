"""What Python lacks of Linux: renames that replace nothing, or exchange; and faults from errors."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import time
from hashlib import blake2b

from .words import DIRECTORY, THE_EPOCH_NS, Content, Fault, State

_NOREPLACE, _EXCHANGE = 1, 2
_LIBC = ctypes.CDLL(None, use_errno=True)
DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {
    errno.ENOENT: "not_found",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "denied",
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.ENAMETOOLONG: "invalid_name",
    errno.EILSEQ: "invalid_name",
    errno.ENOTEMPTY: "not_empty",
    errno.ENOTDIR: "not_a_directory",
    errno.ELOOP: "not_a_directory",
    errno.EXDEV: "unsupported",
    errno.EMFILE: "rate_limited",
    errno.ENFILE: "rate_limited",
}
TICK_S = 0.02
"""Two edits of one file within one tick of the kernel's clock leave the same time."""


def fault_of(error: OSError, what: str) -> Fault:
    """The one place in which errors of the system become faults. Unknown is never absent."""
    kind = _KINDS.get(error.errno or 0, "unavailable")
    return Fault(kind, f"can't {what}: {error.strerror or error}")


def _rename(old_dir: int, old: bytes, new_dir: int, new: bytes, flags: int) -> None:
    if _LIBC.renameat2(old_dir, old, new_dir, new, flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def rename_to_free(old_dir: int, old: bytes, new_dir: int, new: bytes) -> bool:
    """Renames atomically where nothing stands; false, and nothing is changed, if something does."""
    try:
        _rename(old_dir, old, new_dir, new, _NOREPLACE)
    except OSError as error:
        if error.errno == errno.EEXIST:
            return False
        raise
    return True


def exchange(old_dir: int, old: bytes, new_dir: int, new: bytes) -> None:
    """Exchanges two names atomically; both must be there."""
    _rename(old_dir, old, new_dir, new, _EXCHANGE)


def state_of(status: os.stat_result) -> State | None:
    """What a file or directory is; `None` for a link, a pipe and the like.

    The tag is made of nothing that a rename changes, so a scan recognizes renamed files.
    """
    if stat.S_ISDIR(status.st_mode):
        content = DIRECTORY
    elif stat.S_ISREG(status.st_mode):
        executable = bool(status.st_mode & 0o100)
        mtime_ns = status.st_mtime_ns or THE_EPOCH_NS
        content = Content("file", status.st_size, mtime_ns, executable)
    else:
        return None
    parts = (content.kind, content.size, content.mtime_ns, content.executable, status.st_ino)
    tag = blake2b(repr(parts).encode(), digest_size=6).digest()
    # Six zero bytes stand for a state that nobody has looked at.
    return State(content, tag if any(tag) else b"\0\0\0\0\0\1")


def status_at(directory: int, name: bytes) -> os.stat_result | None:
    """What is at a name, never following a link; `None` for certainly nothing.

    A file that was written within this very tick is looked at again in the next one: else an
    edit that follows at once could leave the tag as it was.
    """
    for _ in range(5):
        try:
            status = (
                os.lstat(name)
                if directory < 0
                else os.stat(name, dir_fd=directory, follow_symlinks=False)
            )
        except FileNotFoundError:
            return None
        age = time.time() - status.st_mtime
        if stat.S_ISDIR(status.st_mode) or not 0 <= age < TICK_S:
            break
        time.sleep(TICK_S - age)
    return status
