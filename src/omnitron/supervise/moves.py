"""The moves of the machine: what one event does to a slot in the phases for which `machine.TABLE` lists it.

Those without a leading underscore are in the table and have its signature; the others are the strokes they share.
"""

from signal import SIGKILL, SIGTERM
from typing import Final

from msgspec.structs import replace

from omnitron.base.units import show_seconds
from omnitron.model.state import ExitStatus, Phase, Reason, Want
from omnitron.supervise import slot as e
from omnitron.supervise.decide import Escalate, History, StartAfter, StayDown, decide, recorded
from omnitron.supervise.slot import Effect, Emit, SendSignal, SetTimer, Slot, Withdraw

KILL_AGAIN_S: Final = 5.0  # between two SIGKILLs to a group that does not go

Step = tuple[Slot, tuple[Effect, ...]]


# --- up -------------------------------------------------------------------------------------------


def start(slot: Slot, event: e.Start, now: float, u: float) -> Step:
    return _spawn(replace(slot, want=Want.UP, history=History()), event.reason, now)


def want_up(slot: Slot, event: e.Start, now: float, u: float) -> Step:
    """During a stop: let it end first. Without a stop under way it is wanted up already."""
    if slot.want is Want.UP:
        return slot, ()
    return replace(slot, want=Want.UP, again=True, history=History()), ()


def _spawn(slot: Slot, reason: Reason, now: float) -> Step:
    number, due = slot.next_incarnation, now + slot.rules.startup_timeout
    fresh = replace(
        slot, phase=Phase.STARTING, ready=False, reason=reason, since=now, pid=None, incarnation=number,
        next_incarnation=number + 1, again=False, killed=False, running_since=None, due=due, exit=None, cause=None,
    )  # fmt: skip
    return fresh, (Emit(Reason("starting", reason.text)), e.Spawn(number), SetTimer(due))


def released(slot: Slot, event: e.Released, now: float, u: float) -> Step:
    due = now + slot.rules.startup_timeout
    return replace(slot, since=now, due=due), (SetTimer(due),)


def spawned(slot: Slot, event: e.Spawned, now: float, u: float) -> Step:
    return replace(slot, pid=event.pid), ()


def spawned_too_late(slot: Slot, event: e.Spawned, now: float, u: float) -> Step:
    if slot.pid is not None:
        return slot, ()
    return replace(slot, pid=event.pid, killed=True), (SendSignal(slot.incarnation, SIGKILL),)


def spawn_failed(slot: Slot, event: e.SpawnFailed, now: float, u: float) -> Step:
    return _after_end(replace(slot, cause=slot.cause or Reason("spawn_failed", event.text)), now, u)


def booting(slot: Slot, event: e.Booting, now: float, u: float) -> Step:
    reason = Reason("booting", event.text)
    return replace(slot, reason=reason), (Emit(reason),)


def boot_failed(slot: Slot, event: e.BootFailed, now: float, u: float) -> Step:
    """Its own word says more than the exit code that follows."""
    reason = Reason("boot_failed", event.text)
    return replace(slot, reason=reason, cause=reason), (Emit(reason),)


def booted(slot: Slot, event: e.Ready, now: float, u: float) -> Step:
    reason = Reason("ready", f"ready {show_seconds(now - slot.since)} after its start, pid {slot.pid}")
    slot = replace(slot, phase=Phase.RUNNING, since=now, running_since=now, due=None, trial=False)
    return _publish(slot, reason, e.CancelTimer())


def ready_again(slot: Slot, event: e.Ready, now: float, u: float) -> Step:
    return (slot, ()) if slot.ready else _publish(slot, Reason("ready", "ready again"))


def _publish(slot: Slot, reason: Reason, *first: Effect) -> Step:
    return replace(slot, ready=True, reason=reason), (*first, e.Publish(slot.incarnation), Emit(reason))


def not_ready(slot: Slot, event: e.NotReady, now: float, u: float) -> Step:
    if not slot.ready:
        return slot, ()
    reason = Reason("not_ready", event.text)
    return replace(slot, ready=False, reason=reason), (Withdraw(slot.incarnation), Emit(reason))


# --- down -----------------------------------------------------------------------------------------


def stop(slot: Slot, event: e.Stop, now: float, u: float) -> Step:
    slot = replace(slot, want=Want.DOWN, again=False)
    if event.force:
        return (slot, ()) if slot.killed else _kill(slot, event.reason, now)
    if slot.phase is Phase.STARTING:
        return _terminate(slot, event.reason, now)
    if slot.phase is Phase.STOPPING:
        return slot, ()
    seconds = slot.rules.drain_timeout if event.drain is None else event.drain
    if slot.phase is Phase.DRAINING:
        seconds = min(seconds, max(0.0, (slot.due or now) - now))
    return _drain(slot, event.reason, seconds, now)


def stop_waiting(slot: Slot, event: e.Stop, now: float, u: float) -> Step:
    slot = replace(slot, want=Want.DOWN, phase=Phase.STOPPED, since=now, due=None, reason=event.reason)
    return slot, (e.CancelTimer(), Emit(Reason("stopped", event.reason.text)))


def restart(slot: Slot, event: e.Restart, now: float, u: float) -> Step:
    if slot.want is Want.DOWN:
        return slot, ()
    slot = replace(slot, again=True, history=History() if event.forgive else slot.history)
    if slot.phase is Phase.STARTING:
        return _terminate(slot, event.reason, now)
    if slot.phase is Phase.RUNNING:
        seconds = slot.rules.drain_timeout if event.drain is None else event.drain
        return _drain(slot, event.reason, seconds, now)
    return slot, ()


def restart_waiting(slot: Slot, event: e.Restart, now: float, u: float) -> Step:
    return _spawn(replace(slot, history=History()), event.reason, now) if event.forgive else (slot, ())


def _drain(slot: Slot, reason: Reason, seconds: float, now: float) -> Step:
    if seconds <= 0:
        return _terminate(slot, reason, now)
    effects = (*_withdrawn(slot), e.SendDrain(slot.incarnation, seconds), SetTimer(now + seconds))
    slot = replace(slot, phase=Phase.DRAINING, ready=False, since=now, due=now + seconds, reason=reason)
    return slot, (*effects, Emit(Reason("draining", f"{reason}; up to {show_seconds(seconds)} to finish its work")))


def drained(slot: Slot, event: e.DrainDone, now: float, u: float) -> Step:
    return _terminate(slot, slot.reason, now)


def _terminate(slot: Slot, reason: Reason, now: float) -> Step:
    due = now + slot.rules.term_timeout
    effects = (*_withdrawn(slot), SendSignal(slot.incarnation, SIGTERM), SetTimer(due))
    slot = replace(slot, phase=Phase.STOPPING, ready=False, since=now, due=due, reason=reason)
    return slot, (*effects, Emit(Reason("stopping", f"{reason}; SIGTERM")))


def _kill(slot: Slot, reason: Reason, now: float) -> Step:
    due = now + KILL_AGAIN_S
    effects = (*_withdrawn(slot), SendSignal(slot.incarnation, SIGKILL), SetTimer(due))
    since = slot.since if slot.phase is Phase.STOPPING else now
    slot = replace(slot, phase=Phase.STOPPING, ready=False, killed=True, since=since, due=due, reason=reason)
    return slot, (*effects, Emit(Reason("killing", f"{reason}; SIGKILL")))


def _withdrawn(slot: Slot) -> tuple[Effect, ...]:
    return (Withdraw(slot.incarnation),) if slot.ready else ()


# --- failures -------------------------------------------------------------------------------------


def probe_failed(slot: Slot, event: e.ProbeFailed, now: float, u: float) -> Step:
    slot = replace(slot, cause=Reason(event.kind, event.text))
    end = _kill if event.kind == "event_loop" else _terminate
    return end(slot, Reason(event.kind, event.text), now)


def crashed(slot: Slot, event: e.Exited, now: float, u: float) -> Step:
    """Nobody asked for it: nothing it left behind deserves a grace."""
    slot, effects = _kill(replace(slot, exit=event.status), Reason("exited", str(event.status)), now)
    return slot, (*effects[:-1], Emit(slot.reason))


def exited_in_drain(slot: Slot, event: e.Exited, now: float, u: float) -> Step:
    return _terminate(replace(slot, exit=event.status), slot.reason, now)


def exited_in_stop(slot: Slot, event: e.Exited, now: float, u: float) -> Step:
    return replace(slot, exit=slot.exit or event.status), ()


def group_empty(slot: Slot, event: e.GroupEmpty, now: float, u: float) -> Step:
    withdrawn = _withdrawn(slot)
    slot, effects = _after_end(replace(slot, ready=False, exit=slot.exit or ExitStatus()), now, u)
    return slot, (*withdrawn, *effects)


def _after_end(slot: Slot, now: float, u: float) -> Step:
    """Nothing lives in the slot: start anew, later, or not at all."""
    status, rules = slot.exit or ExitStatus(), slot.rules
    slot = replace(slot, pid=None, due=None, last_exit=slot.exit or slot.last_exit, since=now)
    if slot.again:
        return _spawn(slot, slot.reason, now)
    want = Want.DOWN if slot.trial else slot.want
    history = slot.history.after_run(rules.restart, slot.running_since, now)
    cause = slot.cause or (slot.reason if slot.want is Want.DOWN else None)
    decision = decide(rules.restart, history, status, want, now, u, critical=rules.critical, cause=cause)
    if slot.trial and slot.want is Want.UP:
        decision = StayDown(Reason("rejected", decision.reason.text))
    history = recorded(rules.restart, history, decision, now)
    slot, told = replace(slot, history=history, reason=decision.reason), (Emit(decision.reason),)
    alarm = (e.EscalateToApp(decision.reason),) if isinstance(decision, Escalate) else ()
    if isinstance(decision, StayDown) or (isinstance(decision, Escalate) and decision.retry_at is None):
        return replace(slot, phase=Phase.STOPPED, want=Want.DOWN), (e.CancelTimer(), *told, *alarm)
    slot = replace(slot, restarts=slot.restarts + 1)
    if isinstance(decision, StartAfter) and decision.delay <= 0:
        slot, effects = _spawn(slot, decision.reason, now)
        return slot, (*told, *effects[1:])
    waits = Phase.BACKOFF if isinstance(decision, StartAfter) else Phase.GIVEN_UP
    due = now + decision.delay if isinstance(decision, StartAfter) else decision.retry_at
    assert due is not None
    return replace(slot, phase=waits, due=due), (SetTimer(due), *told, *alarm)


# --- time and adoption ----------------------------------------------------------------------------


def timer(slot: Slot, event: e.TimerFired, now: float, u: float) -> Step:
    if slot.due is None:
        return slot, ()
    if now < slot.due:
        return slot, (SetTimer(slot.due),)
    if slot.phase is Phase.STARTING:
        text = f"not ready within startup_timeout {show_seconds(slot.rules.startup_timeout)}; last: {slot.reason}"
        return _terminate(replace(slot, cause=Reason("startup_timeout", text)), Reason("startup_timeout", text), now)
    if slot.phase is Phase.DRAINING:
        text = f"{slot.reason}; not drained within {show_seconds(now - slot.since)}"
        return _terminate(slot, Reason("drain_timeout", text), now)
    if slot.phase is Phase.STOPPING:
        text = f"the process group {slot.pid} still lives {show_seconds(now - slot.since)} after it was told to end"
        return _kill(slot, Reason("stuck" if slot.killed else "term_timeout", text), now)
    return _spawn(replace(slot, history=slot.history.begun(now)), slot.reason, now)


def adopted(slot: Slot, event: e.Adopted, now: float, u: float) -> Step:
    """Go on where the last keeper stopped; a wait is over, since it runs."""
    same = slot.phase is Phase.RUNNING and slot.incarnation == event.incarnation
    going, kept = slot.phase, slot.running_since if same else None
    slot = replace(
        slot, phase=Phase.RUNNING, ready=False, pid=event.pid, incarnation=event.incarnation, exit=None, killed=False,
        next_incarnation=max(slot.next_incarnation, event.incarnation + 1), running_since=kept, since=now,
    )  # fmt: skip
    if going in (Phase.DRAINING, Phase.STOPPING) or slot.want is Want.DOWN:
        seconds = max(0.0, (slot.due or now) - now) if going is Phase.DRAINING else 0.0
        slot, effects = _drain(slot, slot.reason, seconds, now)
        return slot, (Withdraw(event.incarnation), *effects)
    reason = Reason("adopted", f"adopted alive, pid {event.pid}")
    if not event.booted:
        due = now + slot.rules.startup_timeout
        slot = replace(slot, phase=Phase.STARTING, due=due, reason=reason)
        return slot, (Withdraw(event.incarnation), SetTimer(due), Emit(reason))
    slot = replace(slot, running_since=kept or now, due=None, reason=reason, trial=False)
    if event.ready:
        return _publish(slot, reason, e.CancelTimer())
    return slot, (e.CancelTimer(), Withdraw(event.incarnation), Emit(reason))


def found_dead(slot: Slot, event: e.FoundDead, now: float, u: float) -> Step:
    """Sweep what it may have left behind; then decide, as for any end."""
    text = f"{slot.exit or ExitStatus()}; found dead by a new keeper"
    slot, effects = _kill(replace(slot, exit=slot.exit or ExitStatus()), Reason("exited", text), now)
    return slot, (Withdraw(slot.incarnation), *effects[:-1], Emit(slot.reason))


def wait_on(slot: Slot, event: e.FoundDead, now: float, u: float) -> Step:
    return slot, () if slot.due is None else (SetTimer(slot.due),)
