"""A replica's slot: its state, what can happen to it, and what it can ask to be done. All plain data.

The keeper owns one `Slot` per replica (two while a rolling reload has a successor booting), feeds it events one at a
time through `machine.step`, writes the new state to disk, and only then performs the effects, in order. So a keeper
that dies between the two finds a state that knows of a process it may not have started, never the reverse.
"""

from typing import Literal

import msgspec

from omnitron.base.names import ReplicaId
from omnitron.model.restart import Restart as RestartPolicy
from omnitron.model.state import ExitStatus, Phase, Reason, Want
from omnitron.supervise.decide import History


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine needs of the definition; seconds.

    startup_timeout: from spawn to ready. drain_timeout: to finish accepted work; 0 for what can not drain
    (`command=`). term_timeout: between SIGTERM and SIGKILL.
    """

    restart: RestartPolicy = RestartPolicy()
    critical: bool = False
    startup_timeout: float = 60.0
    drain_timeout: float = 15.0
    term_timeout: float = 5.0


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """State of one replica slot; times are monotonic seconds.

    pid: also the process group; None until spawned and after the group is empty. incarnation: of the current or last
    process; next_incarnation: of the coming one. again: start anew once the group is empty, since a restart was asked
    for. trial: a reload's successor not ready yet; if it fails it is not tried again. killed: SIGKILL was sent.
    due: when the slot's one timer fires. exit: of the current incarnation, if it has ended. last_exit: of the latest
    that has. cause: why we ended it.
    restarts: automatic ones, in total.
    """

    id: ReplicaId
    rules: Rules = Rules()
    want: Want = Want.DOWN
    phase: Phase = Phase.STOPPED
    ready: bool = False
    reason: Reason = Reason("new", "not started yet")
    since: float = 0.0
    pid: int | None = None
    incarnation: int = 0
    next_incarnation: int = 1
    again: bool = False
    trial: bool = False
    killed: bool = False
    running_since: float | None = None
    due: float | None = None
    exit: ExitStatus | None = None
    last_exit: ExitStatus | None = None
    cause: Reason | None = None
    history: History = History()
    restarts: int = 0

    def __str__(self) -> str:
        pid = f" pid={self.pid}" if self.pid is not None else ""
        ready = " ready" if self.ready else ""
        count = f"{len(self.history.starts)}/{self.rules.restart.intensity}"
        return f"<Replica {self.id} {self.phase.value}{ready}{pid} restarts={count}>"


def successor_of(old: Slot, rules: Rules) -> tuple[Slot, Slot]:
    """The old slot and a successor on trial, which share one sequence of incarnations without ever sharing a number."""
    successor = Slot(id=old.id, rules=rules, trial=True, next_incarnation=old.next_incarnation)
    return msgspec.structs.replace(old, next_incarnation=old.next_incarnation + 1), successor


def promoted(old: Slot, successor: Slot) -> Slot:
    """The successor as the slot's only holder; call when it is ready and before the old one is told to stop."""
    number = max(old.next_incarnation, successor.next_incarnation)
    return msgspec.structs.replace(successor, next_incarnation=number, restarts=old.restarts)


# --- Events: asked for ----------------------------------------------------------------------------


class Start(msgspec.Struct, frozen=True):
    """Be up. Void if it is wanted up already, whatever the phase: backoff is not cut short by repeating a wish."""

    reason: Reason = Reason("starting", "asked to start")


class Stop(msgspec.Struct, frozen=True):
    """Be down. drain: seconds to finish accepted work, None for the rules'. force: SIGKILL at once."""

    reason: Reason = Reason("stop", "asked to stop")
    drain: float | None = None
    force: bool = False


class Restart(msgspec.Struct, frozen=True):
    """Cycle what is wanted up; void for what is not, so that it never undoes a stop. It is not counted as a failure.

    forgive: forget earlier failures and start at once even out of backoff (the operator's restart); False for a
    restart because of a sibling, which changes nothing about a replica that waits for its own next try.
    """

    reason: Reason = Reason("restart", "asked to restart")
    drain: float | None = None
    forgive: bool = True


# --- Events: from the process; those of another incarnation than the present are void -------------


class FromProcess(msgspec.Struct, frozen=True):
    incarnation: int


class Spawned(FromProcess, frozen=True):
    pid: int


class Released(FromProcess, frozen=True):
    """The spawn had to wait for others and is performed only now: its time to get ready begins."""


class SpawnFailed(FromProcess, frozen=True):
    text: str


class Booting(FromProcess, frozen=True):
    """Progress before ready, in words: "warmup market.api:prime (2 of 3)"."""

    text: str


class BootFailed(FromProcess, frozen=True):
    """Why it will not get ready, in its own words. Its end follows."""

    text: str


class Ready(FromProcess, frozen=True):
    pass


class NotReady(FromProcess, frozen=True):
    """It runs and must not be called for now."""

    text: str


class ProbeFailed(FromProcess, frozen=True):
    """kind: "liveness" (bad answers: SIGTERM first) or "event_loop" (none at all: it could not handle a SIGTERM)."""

    kind: Literal["liveness", "event_loop"]
    text: str


class DrainDone(FromProcess, frozen=True):
    pass


class Exited(FromProcess, frozen=True):
    """The process itself has ended; its group may live on."""

    status: ExitStatus


class GroupEmpty(FromProcess, frozen=True):
    """No process of the group is left, the replica included."""


# --- Events: from time and from a keeper's own start ----------------------------------------------


class TimerFired(msgspec.Struct, frozen=True):
    """The slot's timer, or a periodic sweep in case one got lost. Harmless when too early or twice."""


class Adopted(msgspec.Struct, frozen=True):
    """A new keeper found the slot's process alive. booted: it was ready before; ready: it is now."""

    pid: int
    incarnation: int
    booted: bool
    ready: bool


class FoundDead(msgspec.Struct, frozen=True):
    """A new keeper found no process of this slot."""


Event = (
    Start | Stop | Restart | Released | Spawned | SpawnFailed | Booting | BootFailed | Ready | NotReady | ProbeFailed
    | DrainDone | Exited | GroupEmpty | TimerFired | Adopted | FoundDead
)  # fmt: skip


# --- Effects --------------------------------------------------------------------------------------


class Spawn(msgspec.Struct, frozen=True):
    """Start a process; answer with Spawned or SpawnFailed."""

    incarnation: int


class SendDrain(msgspec.Struct, frozen=True):
    """Ask the replica to drain; answer with DrainDone."""

    incarnation: int
    timeout: float


class SendSignal(msgspec.Struct, frozen=True):
    """Signal the whole process group. Answer with GroupEmpty as soon as, and if already, nothing of it is left;
    while the spawn is still under way there is nothing to signal and nothing to answer.
    """

    incarnation: int
    signal: int


class SetTimer(msgspec.Struct, frozen=True):
    """Replaces the slot's timer: feed TimerFired at monotonic time `at`."""

    at: float


class CancelTimer(msgspec.Struct, frozen=True):
    pass


class Publish(msgspec.Struct, frozen=True):
    """Callers may find this incarnation. Idempotent."""

    incarnation: int


class Withdraw(msgspec.Struct, frozen=True):
    """Callers may no longer find it; void if another incarnation is published by now."""

    incarnation: int


class Emit(msgspec.Struct, frozen=True):
    """An event for the history; its kind is "replica." + reason.code."""

    reason: Reason


class EscalateToApp(msgspec.Struct, frozen=True):
    """A critical process can not be kept up: the app is to be stopped in order."""

    reason: Reason


Effect = Spawn | SendDrain | SendSignal | SetTimer | CancelTimer | Publish | Withdraw | Emit | EscalateToApp
