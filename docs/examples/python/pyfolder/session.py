"""One connection to the storage, from the lock until it is lost: all tasks of the driver."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

from .announce import Announcer, next_epoch
from .bus import Bus, decode, encode
from .folder import Folder
from .manifest import NOT_SUPPORTED
from .orders import Orders
from .serve import Giver
from .store import Store
from .transfer import Puller
from .watch import Watcher
from .words import Fault

THREADS = 16
BEAT_S, BEAT_FIRST_S = 1.0, 0.05
REPORT_S, REPORT_ANYWAY_S = 0.5, 5.0
SETTLE_S = 1.5
RECONNECT_FIRST_S, RECONNECT_LAST_S = 0.5, 10.0
Answer = Callable[[str, dict[str, Any]], Awaitable[Any]]


def run_until_stopped(name: str, runtime: Path, address: str) -> int:
    """Keeps a service connected until SIGTERM."""
    try:
        return asyncio.run(_run(name, runtime, address))
    except Fault as fault:
        print(f"error: {fault.message}", file=sys.stderr)
        return 1


async def _run(name: str, runtime: Path, address: str) -> int:
    loop = asyncio.get_running_loop()
    kept = asyncio.ensure_future(_keep(name, runtime, address))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, kept.cancel)
    try:
        await kept
    except asyncio.CancelledError:
        pass
    return 0


async def _keep(name: str, runtime: Path, address: str) -> None:
    """Connects again and again, with growing pauses while the storage can't be used."""
    store, pause, epoch = Store(address), RECONNECT_FIRST_S, 0
    service = await _registered(store, name)
    while True:
        began = time.monotonic()
        try:
            incarnation = await store.incarnation()
            known, held = await store.standing(service["id"])
            epoch = next_epoch(max(known, epoch))
            session = _Session(service, runtime, store, epoch, held > 0, incarnation)
            await session.run()
            reason = "the session ended by itself"
        except Fault as fault:
            reason = fault.message
        print(f"`{name}` is unavailable: {reason}", file=sys.stderr, flush=True)
        report = {"state": "unavailable", "reason": reason, "epoch": epoch}
        await store.report(service["id"], {**report, "pid": os.getpid(), "at_ms": _now_ms()})
        if time.monotonic() - began > RECONNECT_LAST_S:
            pause = RECONNECT_FIRST_S
        await asyncio.sleep(pause)
        pause = min(pause * 2, RECONNECT_LAST_S)


async def _registered(store: Store, name: str) -> dict[str, Any]:
    """Waits for the Core to register services; this one must be among them."""
    while (registry := await store.registry()) is None:
        await asyncio.sleep(0.2)
    for service in registry["services"]:
        if service["name"] == name:
            return dict(service)
    raise Fault("not_found", f"no service `{name}` is registered")


class _Session:
    """Everything that works on one connection."""

    def __init__(
        self,
        service: dict[str, Any],
        runtime: Path,
        store: Store,
        epoch: int,
        known: bool,
        incarnation: tuple[bytes | None, str],
    ) -> None:
        refused = [name for name in NOT_SUPPORTED if service["options"].get(name) is not None]
        if refused:
            raise Fault("unavailable", f"this driver doesn't know `{refused[0]}`: take it away")
        self._id, self._store, self._incarnation = int(service["id"]), store, incarnation
        self._folder = Folder(service["options"]["root"], service["name"], known)
        self._threads = ThreadPoolExecutor(THREADS)
        asyncio.get_running_loop().set_default_executor(self._threads)
        self._bus = Bus(runtime)
        self._announcer = Announcer(self._id, epoch)
        self._told_held: dict[str, int] | None = None
        self._watcher = Watcher(service, self._folder, store, self._announcer)
        self._puller = Puller(self._bus, self._folder)
        self._orders = Orders(
            service, self._folder, store, self._announcer, self._watcher, self._puller
        )

    async def run(self) -> None:
        """Runs all tasks until one of them can't go on."""
        number = self._id
        try:
            news = self._bus.bind(zmq.PUB, f"s{number}.pub")
            orders = self._bus.bind(zmq.REP, f"s{number}.rep")
            control = self._bus.bind(zmq.REP, f"s{number}.ctl")
            giver = Giver(self._bus.bind(zmq.ROUTER, f"s{number}.router"), self._folder, self._ask)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publish(news))
                tasks.create_task(_reply(orders, self._ordered))
                tasks.create_task(_reply(control, self._asked))
                tasks.create_task(giver.run())
                tasks.create_task(self._watch())
                tasks.create_task(self._report())
        except ExceptionGroup as failed:
            first = failed.exceptions[0]
            if isinstance(first, OSError):
                raise Fault("unavailable", str(first)) from failed
            raise first from failed
        finally:
            await self._orders.close()
            await self._puller.close()
            self._bus.close()
            # No thread may still work with a descriptor whose number is given anew.
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._folder.close()

    def _ask(self) -> None:
        self._watcher.ask()

    async def _publish(self, news: zmq.asyncio.Socket) -> None:
        """Publishes what is announced, and beats; often until the Referee has heard one."""
        next_beat = 0.0
        while True:
            left = next_beat - time.monotonic()
            if left <= 0:
                pause = BEAT_S if self._announcer.adopted else BEAT_FIRST_S
                next_beat = time.monotonic() + pause
                await news.send_multipart([b"hb", encode(self._announcer.heartbeat())])
                continue
            try:
                await asyncio.wait_for(self._announcer.news.wait(), left)
            except TimeoutError:
                continue
            self._announcer.news.clear()
            while (batch := self._announcer.next_batch()) is not None:
                topic = f"{batch['shard']:02x}".encode()
                await news.send_multipart([topic, encode(batch)])

    async def _watch(self) -> None:
        """Scans, but not before news of an earlier incarnation can no longer change a record."""
        async with self._announcer.changed:
            await self._announcer.changed.wait_for(lambda: self._announcer.adopted)
        await self._watcher.run()

    async def _ordered(self, name: str, fields: dict[str, Any]) -> Any:
        if name != "orders":
            raise Fault("unsupported", "only orders are taken here")
        return await self._orders.answer(fields)

    async def _asked(self, name: str, fields: dict[str, Any]) -> Any:
        if name == "settle":
            is_seen = self._watcher.scans > 0 and await self._watcher.settle(SETTLE_S)
            idle = is_seen and self._orders.count == 0 and self._announcer.count == 0
            # Nothing rests while the Core would still read of what was held before.
            idle = idle and self._told_held == self._watcher.brake.held
            return {"settled": {"idle": idle, "activity": self._announcer.activity}}
        if name == "rescan":
            self._watcher.forget_told()
            self._watcher.ask(whole=True)
            return "done"
        if name == "brake":
            answer = self._watcher.brake.answer(fields)
            self._watcher.ask()
            return answer
        raise Fault("unsupported", f"this driver can't do that (`{name}`)")

    async def _report(self) -> None:
        """Tells the store how things are, and notices when that is another one."""
        told, told_at = None, 0.0
        while True:
            await self._notice_loss()
            report = self._current()
            if report != told or time.monotonic() - told_at > REPORT_ANYWAY_S:
                await self._store.report(self._id, {**report, "at_ms": _now_ms()})
                told, told_at = report, time.monotonic()
                self._told_held = report["held"]
            self._watcher.ended.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._watcher.ended.wait(), REPORT_S)

    async def _notice_loss(self) -> None:
        """A store that was wiped knows nothing, and one that was restarted may lack a second."""
        now = await self._store.incarnation()
        if now[0] is None or now == self._incarnation:
            return
        if now[0] != self._incarnation[0]:
            await self._announcer.begin_epoch()
        self._incarnation = now
        self._watcher.forget_told()
        self._watcher.ask(whole=True)

    def _current(self) -> dict[str, Any]:
        watcher, held = self._watcher, self._watcher.brake.held
        state = "scanning" if watcher.scans == 0 else "held" if held else "ready"
        problems = [{"path": path, "message": text} for path, text in watcher.problems.items()]
        return {
            "state": state,
            "reason": watcher.brake.reason(),
            "pid": os.getpid(),
            "epoch": self._announcer.epoch,
            "scans": watcher.scans,
            "scanned": watcher.scanned,
            "problems": problems,
            "problems_total": len(problems),
            "held": held,
            "ignoring": watcher.ignoring,
        }


async def _reply(asked: zmq.asyncio.Socket, answer: Answer) -> None:
    """Answers requests one after the other: a number that is repeated, and the payload."""
    while True:
        frames = await asked.recv_multipart()
        try:
            reply = await answer(*decode(frames[-1]))
        except Fault as fault:
            reply = {"refused": fault.wire()}
        except (KeyError, TypeError, ValueError) as error:
            reply = {"refused": Fault("unsupported", f"not understood: {error!r}").wire()}
        await asked.send_multipart([*frames[:-1], encode(reply)])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
