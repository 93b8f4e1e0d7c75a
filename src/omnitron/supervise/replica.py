"""The owner of one slot: feeds the machine one event at a time, writes its new state down, performs what it asks.

Everything that can happen to a replica is a message in its mailbox; nothing else touches its state, so there are no
locks. What lasts (a fork, a drain, a probe) runs beside it and ends in another message.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from signal import SIGKILL, SIGTERM, Signals
from typing import Final

from omnitron.base.errors import OmnitronError, OperationError
from omnitron.control.keeper import ProcessSpec
from omnitron.control.replica import ReplicaReport, ReplicaStats
from omnitron.model.state import ExitStatus, Phase, Reason
from omnitron.supervise import slot as e
from omnitron.supervise.health import watch_command, watch_replica
from omnitron.supervise.house import House
from omnitron.supervise.link import ReplicaLink
from omnitron.supervise.machine import step
from omnitron.supervise.news import News
from omnitron.supervise.output import Output
from omnitron.supervise.processinfo import read_pss, read_stat, start_identity
from omnitron.supervise.remains import left_behind
from omnitron.supervise.saved import Role, SavedReplica
from omnitron.supervise.slot import Slot
from omnitron.supervise.starting import Start, Started

log = logging.getLogger("omnitron.keeper")

MAILBOX: Final = 1024  # messages; far more than can be under way for one slot
CPU_OVER_S: Final = 0.5  # ticks of 10 ms say nothing over less
PSS_EVERY_S: Final = 30.0  # the kernel walks all page tables for it
LOOK_AGAIN_S: Final = (0.002, 0.25)  # first and longest wait before looking whether a group is empty
_WARNINGS: Final = frozenset({"exited", "backoff", "not_ready", "startup_timeout", "term_timeout", "drain_timeout"})
_ERRORS: Final = frozenset({"given_up", "escalated", "stuck", "liveness", "event_loop", "spawn_failed", "boot_failed"})


class Replica:
    """role: "holder" of the slot, a reload's "successor" on trial, or the old one "leaving"."""

    def __init__(
        self, house: House, spec: ProcessSpec, slot: Slot, stepped: Callable[["Replica"], None], role: Role = "holder"
    ) -> None:
        self.spec, self.slot, self.role = spec, slot, role
        self.mode, self.detail, self.identity = "", "", ""
        self.stats: ReplicaStats | None = None
        self.cpu: float | None = None
        self.rss: int | None = None
        self.pss: int | None = None
        self._pss_at = 0.0
        self.key = house.owner.new_key()
        self.luck = house.rand.random()  # of this incarnation, for recycling
        self.news = News()
        self.link: ReplicaLink | None = None
        self._sampled: tuple[float, float] | None = None
        self._house, self._stepped = house, stepped
        self._mail: asyncio.Queue[e.Event] = asyncio.Queue(MAILBOX)
        self._timer: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._output: Output | None = None
        self._health: asyncio.Task[None] | None = None
        self._spawning = self._exited = self._signalled = False
        self.held = False  # its start waits for siblings
        self._unverified = False  # the pid is of an old note: only what bears our marks may be signalled
        self._waits: Iterator[float] = iter(())
        self._task = house.tasks.start(self._live(), f"replica {slot.id}")

    def __repr__(self) -> str:
        return f"{str(self.slot)[:-1]} {self.role}>"

    @property
    def process(self) -> str:
        return self.slot.id.process

    @property
    def saved(self) -> SavedReplica:
        return SavedReplica(key=self.key, role=self.role, slot=self.slot, identity=self.identity, mode=self.mode)

    def post(self, event: e.Event) -> None:
        """Put a message into the mailbox."""
        self._mail.put_nowait(event)

    def close(self) -> None:
        """Forget it; call only when nothing lives in the slot, or when the keeper leaves what lives alone."""
        for handle in (self._timer, self._look):
            if handle is not None:
                handle.cancel()
        for task in (self._health, self._task):
            if task is not None:
                task.cancel()
        if self.link is not None:
            self.link.close()

    # -- the one who steps

    async def _live(self) -> None:
        while True:
            event = await self._mail.get()
            try:
                self._handle(event)
            except Exception as error:  # a fault of ours in one step must not leave the slot without an owner
                log.exception("a step of %s failed", self.slot.id)
                self._house.journal.tell(str(self.slot.id), "keeper.fault", f"{event}: {error!r}", "error")

    def _handle(self, event: e.Event) -> None:
        before, house = self.slot, self._house
        ours = isinstance(event, e.FromProcess) and event.incarnation == before.incarnation
        if ours and isinstance(event, e.GroupEmpty | e.SpawnFailed):
            self._clean_up(before.incarnation)
        self.slot, effects = step(before, event, house.clock.monotonic(), house.rand.random())
        if self.slot == before and not effects:
            self._after_exit(event)
            return
        house.owner.note(self.key, self.saved)
        if self.slot.restarts > before.restarts:
            house.owner.restarted(self.slot.id, self.slot.reason)
        for effect in effects:
            self._perform(effect)
        self._after_exit(event)
        self.news.tell()
        self._stepped(self)

    def _perform(self, effect: e.Effect) -> None:
        house, slot = self._house, self.slot
        name, number = slot.id.process, slot.id.slot
        match effect:
            case e.Spawn(incarnation):
                self._spawn(incarnation)
            case e.SendSignal(incarnation, signal):
                self._signal(incarnation, signal)
            case e.SendDrain(incarnation, timeout):
                house.tasks.start(self._drain(incarnation, timeout), f"drain {slot.id}")
            case e.SetTimer(at):
                self._set_timer(at)
            case e.CancelTimer():
                self._set_timer(None)
            case e.Publish(incarnation):
                if slot_has_address(self.spec):
                    house.addresses.publish(name, number, incarnation)
            case e.Withdraw(incarnation):
                house.addresses.withdraw(name, number, incarnation)
            case e.Emit(reason):
                self._tell(reason)
            case e.EscalateToApp(reason):
                house.owner.escalate(self.process, reason)

    def _tell(self, reason: Reason) -> None:
        level = "error" if reason.code in _ERRORS else "warning" if reason.code in _WARNINGS else "info"
        self._house.journal.tell(
            str(self.slot.id), f"replica.{reason.code}", reason.text, level,
            incarnation=self.slot.incarnation, pid=self.slot.pid,
        )  # fmt: skip

    def _set_timer(self, at: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            wait = max(0.0, at - self._house.clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self.post, e.TimerFired())

    # -- start

    def _spawn(self, incarnation: int) -> None:
        self._exited = self._signalled = self._unverified = False
        self._spawning = True
        self.luck, self.stats, self.cpu, self._sampled = self._house.rand.random(), None, None, None
        if self._house.owner.holds(self.process):
            self.held = True
            self._house.tasks.start(self._spawn_when_released(incarnation), f"hold {self.slot.id}")
        else:
            self._spawn_now(incarnation)

    async def _spawn_when_released(self, incarnation: int) -> None:
        self._set_timer(None)
        while self._house.owner.holds(self.process) and self.slot.phase is Phase.STARTING:
            await asyncio.shield(self._house.owner.news.next())
        self.held = False
        if self.slot.phase is Phase.STARTING:
            self.post(e.Released(incarnation))
            self._spawn_now(incarnation)
        else:
            self._not_started(OperationError("It was told to stop before it was started."), incarnation)

    def _spawn_now(self, incarnation: int) -> None:
        start = Start(self._house, self._house.owner.spec, self.spec, self.slot.id.slot, incarnation)
        template = start.template()
        if template is not None and not template.refused:
            self._house.tasks.start(self._fork(start, incarnation), f"fork {self.slot.id}")
            return
        self._output = Output(self._house.run, self.process, self.slot.id.slot, incarnation)
        try:
            self._started(start.spawn(self._output), incarnation)
        except (OmnitronError, OSError) as error:
            self._not_started(error, incarnation)

    async def _fork(self, start: Start, incarnation: int) -> None:
        self._output = Output(self._house.run, self.process, self.slot.id.slot, incarnation)
        template = start.template()
        try:
            if template is not None and template.usable:
                try:
                    self._started(await start.fork(template, self._output), incarnation)
                    return
                except OmnitronError as error:
                    self._house.journal.tell(
                        str(self.slot.id), "template.failed", f"{error} Spawned instead.", "warning"
                    )
                    self._output.end()
            self._started(start.spawn(self._output), incarnation)
        except (OmnitronError, OSError) as error:
            self._not_started(error, incarnation)

    def _started(self, started: Started, incarnation: int) -> None:
        self._spawning = False
        self.mode, self.detail = started.mode, started.detail
        self.identity = start_identity(started.pid)
        self.post(e.Spawned(incarnation, started.pid))
        self._attach(started.pid, incarnation)
        if started.mode == "command" and self.spec.process.health.probe is None:
            self.post(e.Ready(incarnation))

    def _not_started(self, error: Exception, incarnation: int) -> None:
        self._spawning = False
        self.post(e.SpawnFailed(incarnation, str(error)))

    def _attach(self, pid: int, incarnation: int, *, adopted: bool = False) -> None:
        """Everything we hold of a living incarnation, whoever started it."""
        house, slot, app = self._house, self.slot, self._house.owner.spec.app
        if self._output is None:
            self._output = Output(house.run, self.process, slot.id.slot, incarnation)
        self._output.read_on(app, self.process, slot.id.slot, pid, house.logs.of(self.process), house.clock)
        house.spawner.watch(pid, lambda status: self._ended(incarnation, status), adopted=adopted)
        if slot_has_address(self.spec):
            path = house.addresses.socket_path(self.process, slot.id.slot, incarnation)
            self.link = ReplicaLink(path, "keeper", house.tasks, lambda report: self._reported(incarnation, report))
            self.link.directory(house.owner.needed_by(self.process))
            self._health = house.tasks.start(watch_replica(self, incarnation, house), f"health {slot.id}")
        elif self.spec.process.health.probe is not None:
            self._health = house.tasks.start(watch_command(self, incarnation, house), f"health {slot.id}")

    def _reported(self, incarnation: int, report: ReplicaReport) -> None:
        if report.phase == "ready":
            self.post(e.Ready(incarnation))
        elif report.phase in ("not_ready", "draining"):
            self.post(e.NotReady(incarnation, report.detail or report.phase))
        elif report.phase == "failed":
            self.post(e.BootFailed(incarnation, report.detail))
        else:
            self.post(e.Booting(incarnation, f"{report.phase}: {report.detail}" if report.detail else report.phase))

    # -- adoption

    def adopt(self, pid: int, incarnation: int, identity: str, mode: str) -> None:
        """Take over a living process that an earlier keeper started."""
        self.identity, self.mode = identity, mode
        same = self.slot.incarnation == incarnation
        published = self._house.addresses.published(self.process, self.slot.id.slot) == incarnation
        runs = same and self.slot.running_since is not None
        silent = self.spec.process.command is not None and self.spec.process.health.probe is None
        self._attach(pid, incarnation, adopted=True)
        self.post(e.Adopted(pid, incarnation, booted=published or runs or silent, ready=published or silent or
                            (runs and self.slot.ready)))  # fmt: skip

    def found_dead(self) -> None:
        """What an earlier keeper ran here is gone; what it may have left behind is found by its marks."""
        self._exited = self._unverified = True
        self.post(e.FoundDead())

    # -- the end

    async def _drain(self, incarnation: int, timeout: float) -> None:
        if self.link is not None:
            await self.link.drain(timeout)
        self.post(e.DrainDone(incarnation))

    def _ended(self, incarnation: int, status: ExitStatus) -> None:
        if incarnation == self.slot.incarnation:
            self._exited = True
            self._house.owner.died(self.slot.id, incarnation, str(status))
        self.post(e.Exited(incarnation, status))

    def _signal(self, incarnation: int, signal: int) -> None:
        if self._spawning:
            return
        self._signalled = True
        self._waits = itertools.chain((LOOK_AGAIN_S[0] * 2**n for n in range(7)), itertools.repeat(LOOK_AGAIN_S[1]))
        if not self._exited and self.slot.pid is not None:
            asked = Signals[self.spec.process.stop_signal] if signal == SIGTERM else signal
            self._house.spawner.signal(self.slot.pid, asked)
        for pid in left_behind(self._house, self.slot, exited=self._exited, unverified=self._unverified):
            self._house.spawner.signal_one(pid, signal)
        self.look()

    def _after_exit(self, event: e.Event) -> None:
        if isinstance(event, e.Exited):
            self.look()

    def look(self) -> None:
        """If the end was asked for and the process is gone: is its group empty too? If not, look again soon."""
        if not (self._signalled and self._exited):
            return
        if self._look is not None:
            self._look.cancel()
            self._look = None
        left = left_behind(self._house, self.slot, exited=self._exited, unverified=self._unverified)
        if not left:
            self._signalled = False
            self.post(e.GroupEmpty(self.slot.incarnation))
            return
        if self.slot.killed:  # it may have forked while it was being killed
            for pid in left:
                self._house.spawner.signal_one(pid, SIGKILL)
        self._look = asyncio.get_running_loop().call_later(next(self._waits), self.look)

    def _clean_up(self, incarnation: int) -> None:
        """Nothing of the incarnation lives."""
        if self._output is not None:
            self._output.end()
            self._output = None
        if self._health is not None:
            self._health.cancel()
            self._health = None
        if self.link is not None:
            self.link.close()
            self.link = None
        self._house.addresses.remove(self.process, self.slot.id.slot, incarnation)
        self.identity, self.cpu, self.rss, self.pss = "", None, None, None

    # -- what it uses

    def sample(self) -> None:
        """CPU since the last sample (the first time: since the start), and memory."""
        stat = read_stat(self.slot.pid) if self.slot.pid is not None and self.slot.phase.alive else None
        if stat is None:
            return
        now = self._house.clock.monotonic()
        since, used = self._sampled or (self.slot.since, 0.0)
        if now - since > CPU_OVER_S:
            self.cpu = max(0.0, 100 * (stat.cpu - used) / (now - since))
            self._sampled = (now, stat.cpu)
        self.rss = stat.rss
        if now - self._pss_at > PSS_EVERY_S or self.pss is None:
            self._pss_at, self.pss = now, read_pss(stat.pid)


def slot_has_address(spec: ProcessSpec) -> bool:
    """Whether its replicas serve RPC: ours do, other programs do not."""
    return spec.process.command is None


def is_over(replica: Replica) -> bool:
    """Nothing lives in the slot and nothing will."""
    return replica.slot.phase is Phase.STOPPED
