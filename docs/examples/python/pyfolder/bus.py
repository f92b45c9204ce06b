"""The bus: ZeroMQ over Unix sockets of one private directory, and how messages are written.

A message is a version byte and MessagePack; what a frame of the bus' own says stands in the
section *The bus* of `docs/protocol.md`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Any

import msgpack
import zmq
import zmq.asyncio

from .words import PROTOCOL, Fault

MESSAGE, PING, PONG, BYE = b"\x00", b"\x01", b"\x02", b"\x03"
MESSAGE_BYTES_MAX = 16 * 1024 * 1024


def encode(message: Any) -> bytes:
    """Writes a message down."""
    return bytes([PROTOCOL]) + msgpack.packb(message)


def decode(payload: bytes) -> tuple[str, dict[str, Any]]:
    """Reads a message that is an enum: the name of its variant, and its fields."""
    if not payload or payload[0] != PROTOCOL:
        raise Fault("unsupported", f"this driver speaks version {PROTOCOL} of the protocol")
    try:
        message = msgpack.unpackb(memoryview(payload)[1:])
    except (ValueError, msgpack.UnpackException) as error:
        raise Fault("unsupported", f"a damaged message: {error}") from error
    if isinstance(message, str):
        return message, {}
    if isinstance(message, dict) and len(message) == 1:
        name, fields = next(iter(message.items()))
        return str(name), fields if isinstance(fields, dict) else {"": fields}
    raise Fault("unsupported", "a message that is no enum")


class Bus:
    """Makes sockets in the runtime directory, and closes them."""

    def __init__(self, runtime: Path) -> None:
        self._runtime = runtime
        self._context = zmq.asyncio.Context()

    def close(self) -> None:
        """Ends all sockets; what wasn't sent by now is void anyway."""
        self._context.destroy(linger=0)

    def bind(self, kind: int, name: str) -> zmq.asyncio.Socket:
        """A socket that listens, in the place of whoever did before.

        It is bound under another name and renamed: there is never a moment without one, and
        closing an old one can't remove the new one's file.
        """
        bound = self._runtime / f".{secrets.token_hex(3)}"
        sock = self._context.socket(kind)
        sock.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX + 4096)
        if kind == zmq.ROUTER:
            # Bounded by credits; beyond the mark a ROUTER would drop chunks.
            sock.setsockopt(zmq.SNDHWM, 0)
        try:
            sock.bind(f"ipc://{bound}")
            os.rename(bound, self._runtime / name)
        except (zmq.ZMQError, OSError) as error:
            sock.close(linger=0)
            raise Fault("unavailable", f"can't listen at `{name}`: {error}") from error
        return sock

    def _is_there(self, name: str) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._runtime / name))
            except OSError:
                return False
        return True

    async def dealer(self, name: str) -> Dealer:
        """Connects to a router, waiting for it for some seconds."""
        until = time.monotonic() + 5
        while not self._is_there(name):
            if time.monotonic() > until:
                raise Fault("unavailable", f"nobody listens at `{name}`")
            await asyncio.sleep(0.1)
        return Dealer(self._context, f"ipc://{self._runtime / name}")


class Dealer:
    """One connection to a router. Once it is lost it stays so: what was under way is void."""

    def __init__(self, context: zmq.asyncio.Context, address: str) -> None:
        self._socket = context.socket(zmq.DEALER)
        # libzmq would connect again by itself, and send to the new one what the old one was told.
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX + 4096)
        self._monitor = self._socket.get_monitor_socket(
            zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        self._lost: asyncio.Future[list[bytes]] | None = None
        self._socket.connect(address)

    async def say(self, message: Any) -> None:
        """Says something; waits while the router doesn't read."""
        await self._socket.send_multipart([MESSAGE, encode(message)])

    async def hear(self) -> list[bytes] | None:
        """The frames of the next message; `None` when the connection is lost."""
        if self._lost is None:
            self._lost = asyncio.ensure_future(self._monitor.recv_multipart())
        while True:
            heard = asyncio.ensure_future(self._socket.recv_multipart())
            try:
                await asyncio.wait((heard, self._lost), return_when=asyncio.FIRST_COMPLETED)
                if not heard.done():
                    return None
                frames: list[bytes] = heard.result()
                if frames[0] == MESSAGE:
                    return frames[1:]
            finally:
                heard.cancel()

    def close(self) -> None:
        """Ends the connection."""
        if self._lost is not None:
            self._lost.cancel()
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)
