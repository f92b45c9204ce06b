"""The words of the protocol: contents, states, faults, paths, shards, and the named bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

PROTOCOL = 1
SHARDS = 16
NAME_BYTES_MAX = 255
PATH_BYTES_MAX = 4095
BATCH_EVENTS_MAX = 512
RING_EVENTS_MAX = 32_768
REPLAY_EVENTS_MAX = 2_048
INLINE_BYTES_MAX = 128 * 1024
CHUNK_BYTES_MIN = 64 * 1024
CHUNK_BYTES_MAX = 4 * 1024 * 1024
OWN = ".onitu"
"""The directory of a root that is the driver's own and never told."""
IGNORE_FILE = ".onituignore"
IGNORE_BYTES_MAX = 64 * 1024
THE_EPOCH_NS = 197_001_010
"""The time that is told for 1970 itself, since 0 is none."""


class Fault(Exception):
    """A failure in words that every process understands."""

    def __init__(self, kind: str, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.retry_after_ms = kind, message, retry_after_ms

    def wire(self) -> dict[str, Any]:
        """As it is said on the bus."""
        return {
            "kind": self.kind,
            "message": self.message,
            "retry_after_ms": self.retry_after_ms,
        }


@dataclass(frozen=True)
class Content:
    """What a path holds, as far as it is the same on every service.

    A time of 0 is none; 1970 itself is told as `THE_EPOCH_NS`.
    """

    kind: str
    size: int = 0
    mtime_ns: int = 0
    executable: bool = False
    checksum: bytes | None = None

    def wire(self) -> dict[str, Any]:
        """As it is said on the bus. `media` is left out: this driver never looks."""
        return {
            "kind": self.kind,
            "size": self.size,
            "mtime_ns": self.mtime_ns,
            "executable": self.executable,
            "checksum": self.checksum,
        }

    @staticmethod
    def read(said: dict[str, Any]) -> Content:
        """The content that a message tells."""
        checksum = said.get("checksum")
        return Content(
            said["kind"],
            said["size"],
            said["mtime_ns"],
            said["executable"],
            None if checksum is None else bytes(checksum),
        )

    def with_checksum(self, checksum: bytes | None) -> Content:
        """The same, with what is known of its bytes."""
        return self if checksum is None else replace(self, checksum=checksum)

    def has_attributes(self, wanted: Content) -> bool:
        """Whether time and executable bit are as wanted, as far as they are known."""
        is_known = self.kind == "file" and wanted.mtime_ns != 0
        has_time = not is_known or self.mtime_ns == wanted.mtime_ns
        return has_time and (self.kind != "file" or self.executable == wanted.executable)


DIRECTORY = Content("directory")


@dataclass(frozen=True)
class State:
    """What was found at a path: the content, and the tag of exactly this state."""

    content: Content
    tag: bytes

    def wire(self) -> dict[str, Any]:
        """As it is said on the bus."""
        return {"content": self.content.wire(), "tag": self.tag}

    def with_checksum(self, checksum: bytes | None) -> State:
        """The same, with what is known of its bytes."""
        return State(self.content.with_checksum(checksum), self.tag)


def parent_of(path: str) -> str:
    """The directory that holds a path; empty for the root of the tree."""
    return path.rpartition("/")[0]


def join(directory: str, name: str) -> str:
    """The path of a name in a directory."""
    return f"{directory}/{name}" if directory else name


def shard_of(path: str) -> int:
    """The shard of a path: that of its directory."""
    return shard_of_directory(parent_of(path))


def shard_of_directory(directory: str) -> int:
    """The shard of everything directly inside a directory."""
    import xxhash  # Only who speaks with the store needs it, the manifest doesn't.

    return xxhash.xxh3_64_intdigest(directory.encode()) % SHARDS


def check_path(path: str) -> str:
    """The path, if it is one and not this driver's own; whoever sent it, it is never trusted."""
    if not path:
        return path
    parts = path.split("/")
    strange = any(part in ("", ".", "..") or "\0" in part for part in parts)
    if strange or parts[0] == OWN:
        raise Fault("invalid_name", f"`{path}` is no path that can be kept here")
    long = any(len(part.encode()) > NAME_BYTES_MAX for part in parts)
    if long or len(path.encode()) > PATH_BYTES_MAX:
        raise Fault("invalid_name", f"`{path}` is too long")
    return path


def split_name(name: str) -> tuple[str, str]:
    """Stem and extension with its dot; a leading dot begins none, nor does a very long end."""
    at = name.rfind(".")
    if at > 0 and len(name[at:].encode()) <= 64:
        return name[:at], name[at:]
    return name, ""


def conflict_path(path: str, service: str, checksum: bytes, digits: int) -> str:
    """The name under which `service`'s content is kept when another keeps `path`."""
    stem, extension = split_name(path.rpartition("/")[2])
    mark_at = stem.rfind(" (conflict ")
    if mark_at > 0 and stem.endswith(")"):
        stem = stem[:mark_at]
    mark = f" (conflict {service} {checksum.hex()[:digits]})"
    room = max(0, NAME_BYTES_MAX - len((mark + extension).encode()))
    stem = stem.encode()[:room].decode(errors="ignore")
    return join(parent_of(path), f"{stem}{mark}{extension}")
