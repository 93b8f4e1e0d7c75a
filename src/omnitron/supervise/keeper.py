"""The keeper: the supervisor of one app in one stack, answering on `keeper.sock`.

`python -m omnitron.supervise.keeper --home H --stack S --app A`. One event loop, a session of its own, no user code.
SIGTERM stops the app in order. SIGKILL leaves the replicas running for the next keeper, and so does the daemon's death.
"""

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from omnitron.base.clock import SystemClock
from omnitron.base.errors import NotFound, OperationError, Refused
from omnitron.base.home import Home, make_private, still_there, unusable
from omnitron.base.log import log_json, rotate_output
from omnitron.base.names import ReplicaId
from omnitron.base.rand import SystemRand
from omnitron.control.events import Event
from omnitron.control.keeper import AppSpec, AppStatus, KeeperApi, ServiceEndpoints
from omnitron.model.state import Phase, Reason
from omnitron.rpc.contract import contract_of
from omnitron.rpc.server import RpcServer
from omnitron.supervise.adopt import adopt
from omnitron.supervise.app import App
from omnitron.supervise.apply import apply, reload_each
from omnitron.supervise.pool import Pool
from omnitron.supervise.replica import Replica
from omnitron.supervise.rounds import go_round
from omnitron.supervise.saved import load
from omnitron.supervise.spawn import OsSpawner, become_subreaper
from omnitron.supervise.status import app_status

log = logging.getLogger("omnitron.keeper")

READY_MARGIN_S: Final = 5.0  # beyond startup_timeout, for a restart to be reported
MAX_COUNT: Final = 1000  # replicas of one process: socket names have three digits for the slot
MAX_LOG: Final = 10 * 2**20  # bytes of the keeper's own log before it is put aside
OLD_LOGS: Final = 3
BY_OPERATOR: Final = Reason("operator", "asked for by the operator")


class Keeper:
    """Serves KeeperApi. held: the descriptor of its lock."""

    def __init__(self, app: App, home: Home, held: int) -> None:
        self.app = app
        self.ended = asyncio.Event()
        self._home, self._held = home, held

    @property
    def homeless(self) -> bool:
        """Whether its folders were removed under it; what is there now by these names is not its own."""
        return not (self._home.root.exists() and still_there(self._held, self.app.house.run / "keeper.lock"))

    def look_after_itself(self) -> None:
        """From time to time. Without a home nobody could find the app any more: it is stopped in order."""
        try:
            rotate_output(self._home.keeper_log(self.app.spec.stack, self.app.spec.app), MAX_LOG, OLD_LOGS)
        except OSError as error:
            log.warning("the log can not be rotated: %s", error)
        if self.homeless and not self.app.abandoned:
            self.app.abandon()
            reason = Reason("shutdown", f"home removed: {self._home.root} or a folder in it is not there any more")
            self.app.house.journal.tell(self.app.spec.app, "keeper.homeless", reason.text, "error")
            self.app.tasks.start(self._end(reason), "homeless")

    async def apply(self, spec: AppSpec) -> None:
        if (spec.app, spec.stack) != (self.app.spec.app, self.app.spec.stack):
            mine = f"{self.app.spec.app} in stack {self.app.spec.stack}"
            raise OperationError(f"This keeper runs {mine}, not {spec.app} in {spec.stack}.")
        await apply(self.app, spec)

    async def status(self) -> AppStatus:
        app = self.app
        return app_status(app.spec, list(app.pools.values()), app.failed, app.house.clock)

    async def events(self, after: int) -> AsyncIterator[Event]:
        async for event in self.app.house.journal.follow(after):
            yield event

    async def start(self, process: str | None, slot: int | None) -> None:
        self.app.failed = ""
        names = self.app.pick(process)
        if process is not None and slot is not None:
            self._slot(self.app.pools[process], slot)
            await self.app.pools[process].start(BY_OPERATOR, slot)
        else:
            self.app.bring_up(names, BY_OPERATOR)

    async def stop(self, process: str | None, slot: int | None) -> None:
        if process is None:
            await self.app.stop_all(BY_OPERATOR)
        else:
            await self.app.bring_down(self.app.pick(process), BY_OPERATOR, slot=slot)

    async def restart(self, process: str | None, slot: int | None) -> None:
        names = self.app.pick(process)
        pools = [self.app.pools[name] for name in names]
        before = {r: r.slot.incarnation for p in pools for n, r in p.replicas.items() if slot in (None, n)}
        for pool in pools:
            if pool.want == "up" and slot is None:
                await pool.renew_template()  # or the replicas would come back with the code of before
        for pool in pools:
            if pool.want == "up":
                pool.restart(BY_OPERATOR, slot)
        self.app.bring_up([p.name for p in pools if p.want == "down" or p.down(slot)], BY_OPERATOR)
        limit = max(float(p.spec.process.startup_timeout) for p in pools) + READY_MARGIN_S
        limit += float(self.app.spec.shutdown.timeout) * len(pools)

        def again() -> bool:
            fresh = all(r.slot.incarnation > n or r not in _holders(pools) for r, n in before.items())
            return fresh and all(pool.is_ready for pool in pools)

        def hopeless() -> bool:
            return any(r.slot.phase is Phase.GIVEN_UP for r in _holders(pools))

        if not await self.app.news.until(lambda: again() or hopeless(), limit) or hopeless():
            why = [f"{r.slot.id}: {r.slot.reason}" for r in _holders(pools) if not r.slot.ready]
            raise OperationError(f"Not ready again: {'; '.join(why)}.", remedy="See the log of the process.")

    async def reload(self, process: str | None) -> None:
        names = [name for name in self.app.pick(process) if self.app.pools[name].want == "up"]
        specs = {spec.process.name: spec for spec in self.app.spec.processes}
        await reload_each(self.app, [specs[name] for name in names])

    async def scale(self, process: str, count: int) -> None:
        (name,) = self.app.pick(process)
        pool = self.app.pools[name]
        if pool.spec.process.singleton and count != 1:
            raise Refused(
                f"{name} is a singleton: two of it would both act on the outside.", remedy="Remove `singleton=True`."
            )
        if not 1 <= count <= MAX_COUNT:
            raise Refused(
                f"{count} replicas of {name} can not be had: from 1 to {MAX_COUNT}.", remedy="Stop it instead of 0."
            )
        await pool.scale(count, f"scaled to {count} by the operator")

    async def directory(self, services: list[ServiceEndpoints]) -> None:
        self.app.foreign(services)

    async def gone(self, replica: str, incarnation: int, reason: str) -> None:
        self.app.died(ReplicaId.parse(replica), incarnation, reason)

    async def endpoints(self) -> AsyncIterator[list[ServiceEndpoints]]:
        told: list[ServiceEndpoints] | None = None
        while True:
            news = self.app.news.next()
            if (offered := self.app.offered()) != told:
                told = offered
                yield offered
            await asyncio.shield(news)

    async def shutdown(self, kill: bool) -> None:
        await self._end(Reason("shutdown", "the app is shut down"), kill)

    async def _end(self, reason: Reason, kill: bool = False) -> None:
        await self.app.stop_all(reason, force=kill)
        self.ended.set()

    @staticmethod
    def _slot(pool: Pool, slot: int) -> None:
        if not 0 <= slot < pool.count:
            raise NotFound(f"{pool.name} has slots 0 to {pool.count - 1}, not {slot}.", remedy="Scale it first.")


def _holders(pools: list[Pool]) -> list[Replica]:
    return [replica for pool in pools for replica in pool.replicas.values()]


def lock(run: Path) -> int:
    """The descriptor that holds the lock. Raises OperationError if another keeper has it."""
    descriptor = os.open(run / "keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OperationError(
            f"Another keeper runs in {run}.", remedy="There is nothing to do: one is enough."
        ) from None
    return descriptor


def listen(path: Path) -> socket.socket:
    """The keeper's own socket. It appears under its name when it listens: who finds it is never refused."""
    fresh = path.with_name(".keeper.sock")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    before = os.umask(0o177)
    try:
        listener.bind(str(fresh))
    finally:
        os.umask(before)
    listener.listen(64)
    os.replace(fresh, path)
    return listener


async def run(home: Home, stack: str, name: str) -> None:
    """Until it is told to shut down, or SIGTERM."""
    folder = make_private(home.run_dir(stack, name))
    held = lock(folder)
    state, trouble = load(folder)
    spec = state.spec if state is not None and state.spec is not None else AppSpec(
        app=name, stack=stack, version="", cwd="/", python=sys.executable, processes=(),
        log_dir=str(home.log_dir(stack, name)),
    )  # fmt: skip
    app = App(spec, home.root, folder, OsSpawner(), SystemClock(), SystemRand(), state)
    if trouble:
        app.house.journal.tell(name, "keeper.state_lost", f"{trouble}; running replicas are looked for", "error")
    adopt(app, state)
    keeper = Keeper(app, home, held)
    server = RpcServer(name=f"keeper of {name}")
    server.add(contract_of(KeeperApi), keeper)
    await server.serve(listen(folder / "keeper.sock"))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, on_term, keeper)
    app.tasks.start(go_round(app, keeper.look_after_itself), "rounds")
    await keeper.ended.wait()
    await server.drain(1.0)
    await server.close()
    await app.close()
    if not app.abandoned:
        (folder / "keeper.sock").unlink(missing_ok=True)
    os.close(held)


def on_term(keeper: Keeper) -> None:
    keeper.app.tasks.start(keeper.shutdown(False), "SIGTERM")


def main() -> int:
    parser = argparse.ArgumentParser(prog="omnitron.supervise.keeper")
    for option in ("--home", "--stack", "--app"):
        parser.add_argument(option, required=True)
    given = parser.parse_args()
    log_json(context={"app": given.app, "stack": given.stack})
    if os.getsid(0) != os.getpid() and os.getpgid(0) != os.getpid():
        os.setsid()
    become_subreaper()
    try:
        asyncio.run(run(Home(given.home), given.stack, given.app))
    except OperationError as error:
        log.error("%s", error)
        return 1
    except OSError as error:
        log.error("%s", unusable(error, Path(given.home)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
