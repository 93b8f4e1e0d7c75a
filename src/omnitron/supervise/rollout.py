"""A rolling reload: the slots of a process get new incarnations, and at no time fewer serve than before.

`advance(rollout, event)` answers with what to do next. For each slot: start a successor beside the old one, and only
when it is ready give it the address and let the old one drain. At most `surge` slots are between the two at once, so
never more than slots + surge processes live. A singleton (`in_place`) goes the other way round: the old one must be
gone before the new one starts, and callers wait for that moment.

A successor that fails, or is not ready within its startup_timeout (its own machine sees to that), ends the rollout:
what is old stays and serves on. Slots already replaced keep the new code, since the old may not exist any more; the
verdict says how many. There are no timers here: every wait is one on a machine that has its own bound.
"""

import msgspec
from msgspec.structs import replace


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """Slots by how far they are. `verdict` is set once: how it ended, in words; `failed` says whether it did."""

    todo: tuple[int, ...]
    booting: tuple[int, ...] = ()
    draining: tuple[int, ...] = ()
    done: tuple[int, ...] = ()
    surge: int = 1
    in_place: bool = False
    verdict: str = ""
    failed: bool = False

    @property
    def size(self) -> int:
        return len(self.todo) + len(self.booting) + len(self.draining) + len(self.done)


class Begin(msgspec.Struct, frozen=True):
    pass


class NewReady(msgspec.Struct, frozen=True):
    slot: int


class NewFailed(msgspec.Struct, frozen=True):
    slot: int
    reason: str


class OldGone(msgspec.Struct, frozen=True):
    """The old incarnation's process group is empty."""

    slot: int


class Abort(msgspec.Struct, frozen=True):
    """The operator stops, scales or reloads again."""

    reason: str


Event = Begin | NewReady | NewFailed | OldGone | Abort


class StartNew(msgspec.Struct, frozen=True):
    """Start the slot's next incarnation: a successor on trial, or in place the slot itself."""

    slot: int


class Promote(msgspec.Struct, frozen=True):
    """The successor becomes the slot's holder, its address published."""

    slot: int


class StopOld(msgspec.Struct, frozen=True):
    slot: int


class StopNew(msgspec.Struct, frozen=True):
    """End a successor that is not needed any more."""

    slot: int


class Finished(msgspec.Struct, frozen=True):
    ok: bool
    reason: str


Action = StartNew | Promote | StopOld | StopNew | Finished
Step = tuple[Rollout, tuple[Action, ...]]


def advance(rollout: Rollout, event: Event) -> Step:
    """The rollout after the event, and what to do in order. An event that fits no slot's progress is void."""
    match event:
        case Begin():
            return _next(rollout)
        case NewReady(slot) if slot in rollout.booting:
            return _new_ready(replace(rollout, booting=_without(rollout.booting, slot)), slot)
        case OldGone(slot) if slot in rollout.draining:
            return _old_gone(replace(rollout, draining=_without(rollout.draining, slot)), slot)
        case NewFailed(slot, reason) if slot in rollout.booting:
            rest = replace(rollout, booting=_without(rollout.booting, slot), todo=(slot, *rollout.todo))
            return _end(rest, f"the new replica of slot {slot} failed: {reason}")
        case Abort(reason):
            return _end(rollout, reason)
    return rollout, ()


def _new_ready(rollout: Rollout, slot: int) -> Step:
    if rollout.in_place:
        return _next(replace(rollout, done=(*rollout.done, slot)))
    return replace(rollout, draining=(*rollout.draining, slot)), (Promote(slot), StopOld(slot))


def _old_gone(rollout: Rollout, slot: int) -> Step:
    if rollout.in_place:  # also after an abort: a slot that was stopped for the sake of the rollout must not stay down
        return replace(rollout, booting=(*rollout.booting, slot)), (StartNew(slot),)
    return _next(replace(rollout, done=(*rollout.done, slot)))


def _next(rollout: Rollout) -> Step:
    """Fill the surge from the slots to do, or finish."""
    if rollout.verdict:
        return rollout, ()
    room = max(1, rollout.surge) - len(rollout.booting) - len(rollout.draining)
    now, later = rollout.todo[: max(0, room)], rollout.todo[max(0, room) :]
    if rollout.in_place:
        return _begun(replace(rollout, todo=later, draining=(*rollout.draining, *now)), [StopOld(s) for s in now])
    return _begun(replace(rollout, todo=later, booting=(*rollout.booting, *now)), [StartNew(s) for s in now])


def _begun(rollout: Rollout, actions: list[Action]) -> Step:
    if rollout.todo or rollout.booting or rollout.draining:
        return rollout, tuple(actions)
    verdict = f"{len(rollout.done)} of {rollout.size} replicas replaced"
    return replace(rollout, verdict=verdict), (Finished(True, verdict),)


def _end(rollout: Rollout, why: str) -> Step:
    """Stop here: successors not ready yet are ended, everything else is left as it is."""
    if rollout.verdict:
        return rollout, ()
    replaced = len(rollout.done) + (0 if rollout.in_place else len(rollout.draining))
    verdict = f"{why}; {replaced} of {rollout.size} replicas run the new code"
    if rollout.in_place:
        return replace(rollout, verdict=verdict, failed=True), (Finished(False, verdict),)
    stops = tuple(StopNew(slot) for slot in rollout.booting)
    kept = replace(rollout, todo=(*rollout.booting, *rollout.todo), booting=(), verdict=verdict, failed=True)
    return kept, (*stops, Finished(False, verdict))


def _without(slots: tuple[int, ...], slot: int) -> tuple[int, ...]:
    return tuple(s for s in slots if s != slot)
