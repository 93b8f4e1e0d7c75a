"""The state machine of one replica slot.

`step(slot, event, now, u)` answers with the new state and what to do, in order. The table says which event
means something in which phase; what it does not list is void there. This is all the keeper knows about lives.

    STOPPED --Start--> STARTING --Ready--> RUNNING --Stop--> DRAINING --> STOPPING --GroupEmpty--> STOPPED
                          |                   |                              ^
                          +---- failure ------+------------------------------+
                          ^                                                  |  GroupEmpty, then `decide`
                          +----- at once, or out of BACKOFF, GIVEN_UP <------+

* **One way out of life.** Whatever ends a process (stop, restart, crash, probe, timeout) leads to STOPPING, and only
  GroupEmpty leads out of it. A new incarnation is never spawned before, so two never live in one slot, and what a
  crashed process leaves behind (its own children) is swept first.
* **Who wins.** Stop outranks restart outranks start. A stop cancels a restart under way. A Restart is void for what is
  not wanted up, so a sibling's crash can not undo a stop; a Start is void for what is. A Start during a stop lets the
  stop end, then starts. `want` is the operator's; only an end the policy does not restart turns it down as well.
* **Every ending has a bound.** Drain, then SIGTERM, then SIGKILL each end by GroupEmpty or by the timer; SIGKILL is
  repeated, aloud, since a process in an uninterruptible system call dies only later.
* **One timer.** The phase says what it means, `due` says when. So a timer that comes early is set again, one that comes
  twice finds nothing due, and one that got lost is made good by a sweep; there is no timer to mistake for another.
* **Why is kept.** If we end a process, `cause` says why, and makes its end a failure whatever its exit code.
* **Not ready is not dead.** NotReady withdraws the address and kills nothing; a failed liveness probe kills.
"""

from collections.abc import Callable
from typing import Any, Final

from omnitron.model.state import Phase
from omnitron.supervise import moves as m
from omnitron.supervise import slot as e
from omnitron.supervise.moves import Step
from omnitron.supervise.slot import Event, Slot

Handler = Callable[[Slot, Any, float, float], Step]

_LIVE: Final = (Phase.STARTING, Phase.RUNNING, Phase.DRAINING, Phase.STOPPING)
_WAITING: Final = (Phase.BACKOFF, Phase.GIVEN_UP)

TABLE: Final[dict[tuple[Phase, type], Handler]] = {
    (Phase.STOPPED, e.Start): m.start,
    (Phase.STARTING, e.Released): m.released,
    (Phase.STARTING, e.Spawned): m.spawned,
    (Phase.STARTING, e.SpawnFailed): m.spawn_failed,
    (Phase.STARTING, e.Booting): m.booting,
    (Phase.STARTING, e.BootFailed): m.boot_failed,
    (Phase.STARTING, e.Ready): m.booted,
    (Phase.STARTING, e.ProbeFailed): m.probe_failed,
    (Phase.STARTING, e.Exited): m.crashed,
    (Phase.RUNNING, e.Spawned): m.spawned,
    (Phase.RUNNING, e.Ready): m.ready_again,
    (Phase.RUNNING, e.NotReady): m.not_ready,
    (Phase.RUNNING, e.ProbeFailed): m.probe_failed,
    (Phase.RUNNING, e.Exited): m.crashed,
    (Phase.DRAINING, e.Start): m.want_up,
    (Phase.DRAINING, e.DrainDone): m.drained,
    (Phase.DRAINING, e.Exited): m.exited_in_drain,
    (Phase.STOPPING, e.Start): m.want_up,
    (Phase.STOPPING, e.Spawned): m.spawned_too_late,
    (Phase.STOPPING, e.SpawnFailed): m.spawn_failed,
    (Phase.STOPPING, e.Exited): m.exited_in_stop,
    **{(phase, e.Stop): m.stop for phase in _LIVE},
    **{(phase, e.Restart): m.restart for phase in _LIVE},
    **{(phase, e.GroupEmpty): m.group_empty for phase in _LIVE},
    **{(phase, e.FoundDead): m.found_dead for phase in _LIVE},
    **{(phase, e.Stop): m.stop_waiting for phase in _WAITING},
    **{(phase, e.Restart): m.restart_waiting for phase in _WAITING},
    **{(phase, e.FoundDead): m.wait_on for phase in _WAITING},
    **{(phase, e.TimerFired): m.timer for phase in (*_LIVE, *_WAITING)},
    **{(phase, e.Adopted): m.adopted for phase in Phase},
}


def step(slot: Slot, event: Event, now: float, u: float) -> Step:
    """The slot after the event, and the effects to perform in order. now: monotonic; u: chance in [0, 1)."""
    handler = TABLE.get((slot.phase, type(event)))
    if handler is None or (isinstance(event, e.FromProcess) and event.incarnation != slot.incarnation):
        return slot, ()
    return handler(slot, event, now, u)
