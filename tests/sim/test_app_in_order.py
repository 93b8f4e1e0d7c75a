"""An app of several processes in the simulated world: dependents stop first, what is needed starts first."""

from sim_invariants import INVARIANTS, RULES, STOP_BOUND_S, say

from omnitron.base.names import ReplicaId
from omnitron.model.state import Phase, Want
from omnitron.supervise import slot as e
from omnitron.supervise.order import drain_order, first_left, start_order
from omnitron.testing.world import Faults, SimReplica, World

CALLS = {"http": ["ohlcv"], "aggregator": ["collector"], "chat": ["presence"], "presence": ["chat"]}
AFTER = {"ohlcv": ["aggregator"]}
NAMES = ("http", "ohlcv", "aggregator", "collector", "chat", "presence")
CYCLE = {("chat", "presence"), ("presence", "chat")}
NEEDS = [(who, what) for edges in (CALLS, AFTER) for who, needed in edges.items() for what in needed]
ROUGH = Faults(ignores_term=0.3, leaves_children=0.5, drain_hangs=0.4, slow_kill=0.3, timer_lost=0.2)


class SimApp:
    """Starts and stops the processes by `first_left`, as a keeper does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.layers = start_order(NAMES, CALLS, AFTER)
        self.slots = {
            n: SimReplica(world, e.Slot(id=ReplicaId("market", n, 0), rules=RULES)) for n in NAMES
        }  # fmt: skip
        self.want = Want.DOWN
        for replica in self.slots.values():
            replica.watchers.append(self.move)

    def move(self) -> None:
        up = self.want is Want.UP
        done = {n for n, r in self.slots.items() if (r.slot.ready if up else r.slot.phase is Phase.STOPPED)}
        for name in first_left(self.layers if up else drain_order(self.layers), done):
            slot = self.slots[name].slot
            if slot.want is not self.want:
                self.slots[name].feed(e.Start() if up else e.Stop())

    def turn(self, want: Want) -> None:
        self.want = want
        self.move()

    def check(self, world: World) -> None:
        for who, needed in NEEDS:
            above, below = self.slots[who].slot, self.slots[needed].slot
            if (who, needed) in CYCLE:
                continue
            if self.want is Want.DOWN:
                wrong = below.want is Want.DOWN and above.phase is not Phase.STOPPED
                assert not wrong, say(world, f"{needed} stops before {who}: {below} {above}")
            elif above.phase is Phase.STARTING:
                assert below.ready, say(world, f"{who} starts before {needed} is ready: {below}")


def test_what_is_needed_is_ready_first_and_dependents_are_gone_first() -> None:
    for seed in range(40):
        world = World(seed, ROUGH)
        app = SimApp(world)
        world.checks += [*INVARIANTS, app.check]
        app.turn(Want.UP)
        world.loop.run(60.0)
        assert all(r.slot.ready for r in app.slots.values()), say(world, "not all ready")
        app.turn(Want.DOWN)
        world.loop.run(len(app.layers) * STOP_BOUND_S)
        assert all(r.slot.phase is Phase.STOPPED for r in app.slots.values()), say(world, "not all stopped")
        assert not any(group.alive for group in world.groups)
