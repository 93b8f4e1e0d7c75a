"""A simulated machine with a keeper and replicas that misbehave, to run the real supervision against.

`World` keeps the simulated operating system (process groups, published addresses); `SimReplica` does for one slot what
the keeper does for real: feed events to `machine.step`, remember the state, perform the effects. `Faults` says how
often things go wrong. After each step every function in `World.checks` is called: put invariants there.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from signal import SIGKILL

from omnitron.base.names import ReplicaId
from omnitron.model.state import ExitStatus, Phase
from omnitron.supervise import slot as e
from omnitron.supervise.machine import step
from omnitron.supervise.slot import Effect, Event, Slot
from omnitron.testing.loop import SimLoop

SWEEP_S = 10.0  # a keeper's sweep for timers that got lost
SPAWN_S = 0.05  # longest spawn
KILL_S = 12.0  # longest a process in an uninterruptible call outlives SIGKILL


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances in [0, 1], each thrown where it may happen; `crash_after`: mean seconds of a run, inf for never."""

    spawn_fails: float = 0.0
    crashes_booting: float = 0.0
    never_ready: float = 0.0
    crash_after: float = float("inf")
    exits_zero: float = 0.0
    hangs: float = 0.0
    flaps: float = 0.0
    ignores_term: float = 0.0
    leaves_children: float = 0.0
    drain_hangs: float = 0.0
    slow_kill: float = 0.0
    timer_lost: float = 0.0
    timer_doubled: float = 0.0
    timer_early: float = 0.0
    event_doubled: float = 0.0
    keeper_dies_mid_step: float = 0.0


CALM = Faults()
STORM = Faults(
    spawn_fails=0.05, crashes_booting=0.15, never_ready=0.05, crash_after=40.0, exits_zero=0.2, hangs=0.1, flaps=0.4,
    ignores_term=0.15, leaves_children=0.3, drain_hangs=0.2, slow_kill=0.1, timer_lost=0.1, timer_doubled=0.2,
    timer_early=0.1, event_doubled=0.1, keeper_dies_mid_step=0.003,
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Group:
    """One simulated process group: the replica itself (`leader`) and `children` it has left running."""

    owner: "SimReplica"
    incarnation: int
    pid: int
    ignores_term: bool
    leader: bool = True
    children: int = 0
    booted: bool = False
    ready: bool = False
    adopted: bool = False

    @property
    def alive(self) -> bool:
        return self.leader or self.children > 0


class World:
    """The machine. keeper_up: whether the keeper lives; while it does not, nothing is fed or performed."""

    TRACE_LEN = 400  # latest lines kept for a failure's report

    def __init__(self, seed: int, faults: Faults = CALM) -> None:
        self.loop = SimLoop(seed)
        self.faults = faults
        self.keeper_up = True
        self.keeper_life = 0
        self.recovering = False
        self.groups: list[Group] = []
        self.published: dict[ReplicaId, int] = {}
        self.replicas: list[SimReplica] = []
        self.checks: list[Callable[[World], None]] = []
        self.on_revive: list[Callable[[], None]] = []
        self.trace: deque[str] = deque(maxlen=self.TRACE_LEN)
        self._pids = 100
        self.loop.after(SWEEP_S, self._sweep)

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    def alive(self, replica: ReplicaId) -> list[Group]:
        """Process groups of that identity with a living member."""
        return [group for group in self.groups if group.owner.slot.id == replica and group.alive]

    def kill_keeper(self, back_after: float) -> None:
        """The keeper dies with its timers and mailboxes; a new one starts after that many seconds."""
        if self.keeper_up:
            self.trace.append(f"{self.loop.time:9.3f} keeper dies")
            self.keeper_up = False
            self.keeper_life += 1
            self.loop.after(back_after, self._revive)

    def _revive(self) -> None:
        self.trace.append(f"{self.loop.time:9.3f} keeper is back")
        self.keeper_up = True
        self.recovering = True
        for replica in list(self.replicas):
            replica.recover()
        self.recovering = False
        for action in self.on_revive:
            action()
        self.check()

    def check(self) -> None:
        """Call every check, except while there is no keeper that has seen to all its replicas."""
        if self.keeper_up and not self.recovering:
            for action in self.checks:
                action(self)

    def _sweep(self) -> None:
        for replica in list(self.replicas):
            if replica.slot.due is not None and replica.slot.due <= self.loop.time:
                replica.feed(e.TimerFired())
        self.loop.after(SWEEP_S, self._sweep)


@dataclass(slots=True, eq=False)
class SimReplica:
    """One slot in the world. starts: times of automatic starts since failures were last forgiven."""

    world: World
    slot: Slot
    group: Group | None = None
    spawning: bool = False
    timer: int = 0
    starts: list[float] = field(default_factory=list)
    escalated: list[str] = field(default_factory=list)
    watchers: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.replicas.append(self)

    def feed(self, event: Event) -> None:
        """What a keeper does with one event: decide, remember, perform."""
        world, loop = self.world, self.world.loop
        if not world.keeper_up:
            return
        before = self.slot
        self.slot, effects = step(before, event, loop.time, loop.rand.random())
        world.trace.append(f"{loop.time:9.3f} {event} -> {self.slot} {[*map(str, effects)]}")
        if self.slot.restarts == before.restarts and not self.slot.history.starts:
            self.starts.clear()
        if loop.chance(world.faults.keeper_dies_mid_step):
            world.kill_keeper(loop.between(0.1, 10))
            return
        for effect in effects:
            self._perform(effect, automatic=not isinstance(event, e.Start | e.Restart) and not before.again)
        world.check()
        for watcher in list(self.watchers):
            watcher()

    def recover(self) -> None:
        """What a new keeper does: look for the slot's process."""
        self.spawning = False
        group = self.group
        if group is not None and group.leader and group.incarnation == self.slot.incarnation:
            group.adopted = True
            self.feed(e.Adopted(group.pid, group.incarnation, group.booted, group.ready))
        else:
            self.feed(e.FoundDead())

    def _perform(self, effect: Effect, *, automatic: bool) -> None:
        world = self.world
        match effect:
            case e.Spawn(number):
                self.starts += [world.loop.time] if automatic else []
                self.spawning = True
                self._later(world.loop.between(0.001, SPAWN_S), lambda: self._spawn(number))
            case e.SendSignal(number, signal):
                self._signal(number, signal)
            case e.SendDrain(number, timeout):
                self._drain(number, timeout)
            case e.SetTimer(at):
                self._set_timer(at)
            case e.CancelTimer():
                self.timer += 1
            case e.Publish(number):
                world.published[self.slot.id] = number
            case e.Withdraw(number) if world.published.get(self.slot.id) == number:
                del world.published[self.slot.id]
            case e.EscalateToApp(reason):
                self.escalated.append(reason.text)

    def _later(self, delay: float, action: Callable[[], None]) -> None:
        """In the present keeper's life only."""
        world, life = self.world, self.world.keeper_life
        world.loop.after(delay, lambda: action() if world.keeper_life == life else None)

    def _tell(self, event: Event) -> None:
        """An event from the process reaches the keeper a moment later, now and then twice."""
        for _ in range(2 if self.world.loop.chance(self.world.faults.event_doubled) else 1):
            self._later(self.world.loop.between(0.0, 0.005), lambda: self.feed(event))

    def _set_timer(self, at: float) -> None:
        loop, faults = self.world.loop, self.world.faults
        self.timer += 1
        mine = self.timer

        def fire() -> None:
            if self.timer == mine or loop.chance(0.5):  # a cancelled timer may have been on its way already
                self.feed(e.TimerFired())

        for _ in range(2 if loop.chance(faults.timer_doubled) else 1):
            early = 0.01 if loop.chance(faults.timer_early) else 0.0
            if not loop.chance(faults.timer_lost):
                self._later(at - loop.time - early, fire)

    # --- the life of a simulated process ---------------------------------------------------------------

    def _spawn(self, number: int) -> None:
        world, loop, faults = self.world, self.world.loop, self.world.faults
        self.spawning = False
        if loop.chance(faults.spawn_fails):
            self.feed(e.SpawnFailed(number, "no more processes"))
            return
        group = Group(self, number, world.next_pid(), loop.chance(faults.ignores_term))
        group.children = loop.rand.below(3) if loop.chance(faults.leaves_children) else 0
        self.group = group
        world.groups = [*(g for g in world.groups if g.alive), group]
        self.feed(e.Spawned(number, group.pid))
        if loop.chance(faults.crashes_booting):
            loop.after(loop.between(0.0, 3.0), lambda: self._dies(group, ExitStatus(code=1)))
        elif not loop.chance(faults.never_ready):
            loop.after(loop.between(0.01, 2.0), lambda: self._boots(group))

    def _boots(self, group: Group) -> None:
        loop, faults = self.world.loop, self.world.faults
        if not group.leader:
            return
        group.booted = group.ready = True
        self._tell(e.Ready(group.incarnation))
        status = ExitStatus(code=0) if loop.chance(faults.exits_zero) else ExitStatus(signal=11)
        if faults.crash_after < float("inf"):
            loop.after(loop.between(0.0, 2 * faults.crash_after), lambda: self._dies(group, status))
        if loop.chance(faults.hangs):
            kind: str = "liveness" if loop.chance(0.5) else "event_loop"
            failed = e.ProbeFailed(group.incarnation, kind, "3 answers in a row took over 5s")  # type: ignore[arg-type]
            self._later(loop.between(1.0, 30.0), lambda: self.feed(failed))
        if loop.chance(faults.flaps):
            loop.after(loop.between(0.5, 10.0), lambda: self._flips(group))

    def _flips(self, group: Group) -> None:
        if group.leader:
            group.ready = not group.ready
            number = group.incarnation
            self._tell(e.Ready(number) if group.ready else e.NotReady(number, "database is away"))
            self.world.loop.after(self.world.loop.between(0.5, 10.0), lambda: self._flips(group))

    def _dies(self, group: Group, status: ExitStatus) -> None:
        if group.leader:
            group.leader = group.ready = False
            self._tell(e.Exited(group.incarnation, ExitStatus() if group.adopted else status))
            self._if_empty(group)

    def _child_dies(self, group: Group) -> None:
        if group.children:
            group.children -= 1
            self._if_empty(group)

    def _if_empty(self, group: Group) -> None:
        if not group.alive:
            self._later(0.006, lambda: self.feed(e.GroupEmpty(group.incarnation)))  # after Exited

    def _signal(self, number: int, signal: int) -> None:
        loop, group = self.world.loop, self.group
        if group is None or group.incarnation != number or not group.alive:
            if not self.spawning:
                self._later(0.001, lambda: self.feed(e.GroupEmpty(number)))
            return
        if signal != SIGKILL and group.ignores_term:
            return
        slow = signal == SIGKILL and loop.chance(self.world.faults.slow_kill)
        status = ExitStatus(signal=9) if signal == SIGKILL else ExitStatus(code=0)
        longest = KILL_S if slow else 0.01 if signal == SIGKILL else 1.0
        loop.after(loop.between(0.0, longest), lambda: self._dies(group, status))
        for _ in range(group.children):
            loop.after(loop.between(0.0, longest), lambda: self._child_dies(group))

    def _drain(self, number: int, timeout: float) -> None:
        loop, group = self.world.loop, self.group
        if group is None or loop.chance(self.world.faults.drain_hangs):
            return
        seconds = loop.between(0.0, timeout)
        if loop.chance(0.5):
            loop.after(seconds, lambda: self._dies(group, ExitStatus(code=0)))
        else:
            loop.after(seconds, lambda: self._tell(e.DrainDone(number)) if group.leader else None)


def settled(replica: SimReplica) -> bool:
    """Whether the slot has come to rest: ready, or stopped."""
    return replica.slot.phase is Phase.STOPPED or replica.slot.ready
