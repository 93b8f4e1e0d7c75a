"""The app: its processes in order, the strategy when one fails, and the one place that writes down what must last.

What is wanted comes as a whole with `apply`; the difference to what runs is found here and carried out in dependency
order. Waits for an order run beside, one at a time for each process, and look at `want` again whenever they go on.
"""

import asyncio
import functools
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from omnitron.base.clock import Clock
from omnitron.base.errors import NotFound, OmnitronError, OperationError
from omnitron.base.names import ReplicaId, suggest
from omnitron.base.rand import Rand
from omnitron.base.tasks import TaskSet
from omnitron.control.keeper import AppSpec, ProcessSpec, ServiceEndpoints
from omnitron.model.state import Reason, Want
from omnitron.supervise import saved
from omnitron.supervise.decide import to_restart
from omnitron.supervise.directory import needed
from omnitron.supervise.house import House
from omnitron.supervise.journal import RING, Journal
from omnitron.supervise.listen import Listeners
from omnitron.supervise.news import News
from omnitron.supervise.order import Layers, drain_order, flat, start_order
from omnitron.supervise.output import Found, Logs
from omnitron.supervise.pool import Pool
from omnitron.supervise.processinfo import boot_id
from omnitron.supervise.publish import Addresses
from omnitron.supervise.replica import Replica
from omnitron.supervise.slot import Restart
from omnitron.supervise.spawn import Spawner
from omnitron.supervise.template import Templates

log = logging.getLogger("omnitron.keeper")

STOP_MARGIN_S: Final = 15.0  # beyond drain and term: SIGKILL has been sent twice by then
TEMPLATE_WAIT_S: Final = 0.5  # before a template that died is made anew; replicas are spawned meanwhile


class App:
    """failed: why it was stopped for good, else "". news: anything has changed. unclaimed: see `adopt`.

    to_roll: specs of processes that run another one, in the order of their reloads; see `apply`.
    """

    def __init__(
        self, spec: AppSpec, home: Path, run: Path, spawner: Spawner, clock: Clock, rand: Rand,
        state: saved.SavedApp | None = None,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.layers = layers_of(spec)
        self.failed = ""
        self.pools: dict[str, Pool] = {}
        self.news = News()
        self.unclaimed: list[Found] = []
        self.to_roll: list[ProcessSpec] = []
        self.roller: asyncio.Task[None] | None = None
        self._memory = saved.Memory(run, state.number if state is not None else 0)
        self._last_key = max((r.key for r in state.replicas), default=0) if state is not None else 0
        self._push_due = False
        self._foreign: list[ServiceEndpoints] = []
        self._together: asyncio.Task[None] | None = None
        self._cycle: set[str] = set()  # processes that are being restarted together
        self._held: set[str] = set()  # of these, those not to be started yet
        self._starting: dict[str, asyncio.Task[None]] = {}
        self.abandoned = self._closed = self._unsaved = False
        self.tasks = TaskSet("keeper")
        journal = Journal(spec.stack, clock, state.seq + RING if state is not None else 0)

        def lost(process: str, why: str) -> None:
            journal.tell(f"{spec.app}/{process}", "log.lost", why, "error")

        logs = Logs(Path(spec.log_dir), lost)
        self.house = House(
            home=home, run=run, clock=clock, rand=rand, spawner=spawner, journal=journal, logs=logs,
            addresses=Addresses(run), listeners=Listeners(), tasks=self.tasks, owner=self,
            templates=Templates(spawner, run, home, clock, self._template_died),
        )  # fmt: skip
        spawner.on_reaped(self._reaped)

    # -- what replicas tell

    def new_key(self) -> int:
        self._last_key += 1
        return self._last_key

    def note(self, key: int, replica: saved.SavedReplica | None) -> None:
        if self._closed:
            return
        try:
            if not self._memory.step(saved.Step(key, self.house.journal.seq, replica)):
                self._memory.snapshot(self._state())
        except OSError as error:
            self._forgetful(error)

    def save(self) -> None:
        if self._closed:
            return
        try:
            self._memory.snapshot(self._state())
            self._unsaved = False
        except OSError as error:
            self._forgetful(error)

    def _state(self) -> saved.SavedApp:
        return saved.SavedApp(
            boot=boot_id(), seq=self.house.journal.seq, spec=self.spec, failed=self.failed,
            counts={name: pool.count for name, pool in self.pools.items()},
            down=tuple(name for name, pool in self.pools.items() if pool.want == "down"),
            replicas=tuple(replica.saved for pool in self.pools.values() for replica in pool.all()),
        )  # fmt: skip

    def _forgetful(self, error: OSError) -> None:
        """A full disk does not stop supervision: it goes on, without a memory, and says so once."""
        if not self._unsaved:
            self._unsaved = True
            text = f"the state can not be written to {self.house.run}: {error.strerror}"
            self.house.journal.tell(self.spec.app, "keeper.unsaved", text, "error")

    def stepped(self) -> None:
        if not self._push_due:  # many steps in one turn are one push
            self._push_due = True
            asyncio.get_running_loop().call_soon(self.push_directory)
        self.news.tell()

    def restarted(self, replica: ReplicaId, reason: Reason) -> None:
        if self.spec.strategy == "one_for_one" or self.failed:
            return
        names = to_restart(self.spec.strategy, flat(self.layers), replica.process)
        text = Reason("sibling", f"{self.spec.strategy}: {replica} {reason}")
        if self._together is not None:
            self._together.cancel()
        self._cycle = {*names, *self._held}
        self._held = set(self._cycle)
        self._together = self.tasks.start(self._restart_together(replica, text), "restart siblings")

    async def _restart_together(self, failed: ReplicaId, reason: Reason) -> None:
        """As OTP: all are stopped, in reverse order, before the first starts; then each when what it needs is ready."""
        limit = float(self.spec.shutdown.timeout) + STOP_MARGIN_S
        for layer in drain_order(self.layers):
            pools = [self.pools[name] for name in layer if name in self._cycle and name in self.pools]
            siblings = [r for pool in pools for r in pool.replicas.values() if r.slot.id != failed and not r.held]
            for sibling in siblings:
                sibling.post(Restart(reason, forgive=False))
            await self.news.until(functools.partial(_are_down, siblings), limit)
        while self._held:
            self._held = {name for name in self._held if name in self.pools and self._lacks(name)}
            self.news.tell()
            if self._held:
                await asyncio.shield(self.news.next())

    def _lacks(self, process: str) -> bool:
        """Whether something it needs, restarted along with it, is not ready again."""
        needs = [need for need in self.needs_of(process) if need.name in self._cycle]
        return any(r.slot.want is Want.UP and not r.slot.ready for need in needs for r in need.replicas.values())

    def holds(self, process: str) -> bool:
        return process in self._held

    def escalate(self, process: str, reason: Reason) -> None:
        if not self.failed:
            self.failed = f"{process} is critical: {reason}"
            self.house.journal.tell(self.spec.app, "app.failed", self.failed, "error", process=process)
            self.tasks.start(self.stop_all(Reason("escalated", f"the app failed: {self.failed}")), "app failed")

    def died(self, replica: ReplicaId, incarnation: int, reason: str) -> None:
        for pool in self.pools.values():
            if any(replica.app == s.app for s in self.needed_by(pool.name)):
                for sibling in pool.all():
                    if sibling.link is not None and sibling.slot.id != replica:
                        sibling.link.gone(str(replica), incarnation, reason)

    def needed_by(self, process: str) -> list[ServiceEndpoints]:
        return needed(self.pools[process].spec.calls, [*self.offered(), *self._foreign])

    def offered(self) -> list[ServiceEndpoints]:
        """What the app's processes expose, to siblings and to other apps."""
        return [service for pool in self.pools.values() for service in pool.endpoints()]

    def foreign(self, services: list[ServiceEndpoints]) -> None:
        """What other apps expose, as the daemon says."""
        self._foreign = services
        self.push_directory()

    def push_directory(self) -> None:
        """Tell every replica where the services it calls are, if that has changed."""
        self._push_due = False
        every = [*self.offered(), *self._foreign]
        for pool in self.pools.values():
            mine = needed(pool.spec.calls, every)
            for replica in pool.all():
                if replica.link is not None:
                    replica.link.directory(mine)

    def _reaped(self) -> None:
        for pool in self.pools.values():
            for replica in pool.all():
                replica.look()

    def _template_died(self, process: str) -> None:
        self.house.journal.tell(f"{self.spec.app}/{process}", "template.died", "a new one is made", "warning")
        self.tasks.start(self._new_template(process), f"template {process}")

    async def _new_template(self, process: str) -> None:
        await self.house.clock.sleep(TEMPLATE_WAIT_S)
        if process in self.pools and self.pools[process].want == "up":
            await self.pools[process].make_template()

    # -- order

    def set_spec(self, spec: AppSpec) -> None:
        """Raises DefinitionError if the declared dependencies form a cycle, and changes nothing then."""
        self.layers, self.spec = layers_of(spec), spec
        self.house.logs.use(spec.log_dir)

    def needs_of(self, process: str) -> list[Pool]:
        """Processes of earlier layers that must be ready first; in a cycle of calls nobody waits."""
        rank = {name: n for n, layer in enumerate(self.layers) for name in layer}
        after = self.pools[process].spec.after
        return [self.pools[name] for name in after if name in self.pools and rank[name] < rank[process]]

    def bring_up(self, names: Iterable[str], reason: Reason) -> None:
        """Start processes, each as soon as what it needs is ready."""
        for name in names:
            self.pools[name].want = "up"
            if (task := self._starting.get(name)) is None or task.done():
                self._starting[name] = self.tasks.start(self._bring_up(name, reason), f"start {name}")
        self.save()

    async def _bring_up(self, name: str, reason: Reason) -> None:
        pool = self.pools[name]
        for number in range(pool.count):
            pool.replica(number)
        while waiting := [need.name for need in self.needs_of(name) if need.want == "up" and not need.is_ready]:
            pool.waiting = f"{', '.join(waiting)} to be ready"
            await asyncio.shield(self.news.next())
            if pool.want != "up" or self.pools.get(name) is not pool:
                return
        try:
            await pool.start(reason)
        except OmnitronError as error:
            pool.waiting = str(error)
            self.house.journal.tell(f"{self.spec.app}/{name}", "process.not_started", str(error), "error")

    async def stop_all(self, reason: Reason, *, force: bool = False) -> None:
        """Stop every process, dependents first; by force all at once."""
        for layer in [tuple(self.pools)] if force else drain_order(self.layers):
            await self.bring_down([name for name in layer if name in self.pools], reason, force=force)

    async def bring_down(
        self, names: list[str], reason: Reason, *, slot: int | None = None, force: bool = False
    ) -> None:
        """Returns when they are down. Raises OperationError if something can not be killed."""
        for name in names:
            if slot is None and (task := self._starting.pop(name, None)) is not None:
                task.cancel()
            self.pools[name].stop(reason, slot=slot, force=force)
        self.save()
        limit = float(self.spec.shutdown.timeout) * 2 + STOP_MARGIN_S
        if not await self.news.until(lambda: all(self.pools[n].down(slot) for n in names if n in self.pools), limit):
            left = [str(r.slot.id) for n in names for r in self.pools[n].all() if r.slot.phase.alive]
            raise OperationError(
                f"{', '.join(left)} did not end within {limit:g}s, SIGKILL included.",
                remedy="It hangs in the operating system (a dead disk or network mount?); see `ps -o stat,wchan`.",
            )

    def pick(self, process: str | None) -> list[str]:
        """The named process, or all in start order. Raises NotFound."""
        if process is None:
            return [name for name in flat(self.layers) if name in self.pools]
        if process not in self.pools:
            raise NotFound(f"App {self.spec.app} has no process {process!r}.{suggest(process, self.pools)}")
        return [process]

    def abandon(self) -> None:
        """Our folders are gone; what is there by their names now, or will be, is another keeper's: touch nothing."""
        self.abandoned = self._closed = True
        self.house.addresses.run /= "gone"

    async def close(self) -> None:
        """Nothing runs any more: end the keeper's own work, and forget."""
        self._closed = True
        if not self.abandoned:
            self._memory.forget()
        for pool in self.pools.values():
            for replica in pool.all():
                replica.close()
        self.house.templates.drop_all()
        await self.tasks.close()
        self.house.logs.close()
        self.house.listeners.close_all()


def _are_down(replicas: list[Replica]) -> bool:
    return all(replica.held or not replica.slot.phase.alive for replica in replicas)


def layers_of(spec: AppSpec) -> Layers:
    """Start order of an app. Raises DefinitionError if the declared dependencies form a cycle."""
    names = [process.process.name for process in spec.processes]
    depends_on = {process.process.name: process.process.depends_on for process in spec.processes}
    calls = {p.process.name: [n for n in p.after if n not in p.process.depends_on] for p in spec.processes}
    return start_order(names, calls, depends_on)
