"""A rolling reload in the simulated world: what a keeper does with `rollout.advance`."""

from omnitron.base.names import ReplicaId
from omnitron.model.state import Phase
from omnitron.supervise import rollout as r
from omnitron.supervise import slot as e
from omnitron.supervise.rollout import Rollout, advance
from omnitron.testing.world import SimReplica, World


class SimReload:
    """Performs one rollout over the replicas given; ends with a `verdict`."""

    def __init__(self, world: World, holders: dict[int, SimReplica], rules: e.Rules, **options: int | bool) -> None:
        self.world = world
        self.holders = holders
        self.rules = rules
        self.successors: dict[int, SimReplica] = {}
        self.state = Rollout(todo=tuple(holders), **options)
        self.most_alive = 0
        world.on_revive.append(self._keeper_died)
        self.advance(r.Begin())

    @property
    def verdict(self) -> str:
        return self.state.verdict

    def advance(self, event: r.Event) -> None:
        self.state, actions = advance(self.state, event)
        for action in actions:
            self._perform(action)
        self.most_alive = max(self.most_alive, sum(g.alive for g in self.world.groups))

    def _perform(self, action: r.Action) -> None:
        match action:
            case r.StartNew(slot) if self.state.in_place:
                self._watch(self.holders[slot], slot)
                self.holders[slot].feed(e.Start())
            case r.StartNew(slot):
                old = self.holders[slot]
                old.slot, new = e.successor_of(old.slot, self.rules)
                self.successors[slot] = SimReplica(self.world, new)
                self._watch(self.successors[slot], slot)
                self.successors[slot].feed(e.Start())
            case r.Promote(slot):
                old, new = self.holders[slot], self.successors.pop(slot)
                new.slot = e.promoted(old.slot, new.slot)
                self.holders[slot] = new
                self._retire(old, slot)
            case r.StopOld(slot):
                old = self.holders[slot] if self.state.in_place else self._retiring(slot)
                if self.state.in_place:
                    self._watch(old, slot)
                old.feed(e.Stop(e.Reason("reload", "replaced by a reload")))
            case r.StopNew(slot):
                self.successors[slot].feed(e.Stop())

    def _retire(self, old: SimReplica, slot: int) -> None:
        def gone() -> None:
            if old.slot.phase is Phase.STOPPED and old in self.world.replicas:
                self.world.replicas.remove(old)
                self.advance(r.OldGone(slot))

        old.watchers.append(gone)

    def _retiring(self, slot: int) -> SimReplica:
        mine = self.holders[slot]
        return next(x for x in self.world.replicas if x.slot.id == mine.slot.id and x is not mine)

    def _watch(self, new: SimReplica, slot: int) -> None:
        def look() -> None:
            if new.slot.phase is Phase.RUNNING and slot in self.state.booting:
                self.advance(r.NewReady(slot))
            elif new.slot.phase is Phase.STOPPED and self.state.in_place:
                self.advance(r.OldGone(slot))
            elif new.slot.phase is Phase.STOPPED and new in self.world.replicas and new is not self.holders[slot]:
                self.world.replicas.remove(new)
                self.advance(r.NewFailed(slot, new.slot.reason.text))

        new.watchers.append(look)

    def _keeper_died(self) -> None:
        """A new keeper does not go on with a rollout: it ends successors and leaves the rest."""
        self.advance(r.Abort("the keeper died"))


def pool(world: World, size: int, rules: e.Rules) -> dict[int, SimReplica]:
    """Replicas of one process, started and given 30 s."""
    ids = [ReplicaId("app", "p", number) for number in range(size)]
    holders = {number: SimReplica(world, e.Slot(id=name, rules=rules)) for number, name in enumerate(ids)}
    for replica in holders.values():
        replica.feed(e.Start())
    world.loop.run(30.0)
    return holders
