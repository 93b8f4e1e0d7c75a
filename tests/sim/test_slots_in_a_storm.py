"""Many seeds of one keeper with a few replicas, everything going wrong that can, under random commands."""

from collections.abc import Callable

import msgspec
import pytest
from sim_invariants import INVARIANTS, RULES, STOP_BOUND_S, incarnations_grow, say

from omnitron.base.names import ReplicaId
from omnitron.model.restart import Backoff, Restart
from omnitron.model.state import Phase, Want
from omnitron.supervise import slot as e
from omnitron.testing.world import CALM, STORM, SimReplica, World

SEEDS = range(150)
POLICIES = (
    Restart(),
    Restart(policy="on_failure", intensity=2, period=5.0, backoff=Backoff(cap=2.0)),
    Restart(policy="never"),
    Restart(intensity=0, period=10.0, patience=20.0),
    Restart(intensity=8, period=60.0, backoff=Backoff(first=1.0, base=4.0, jitter=0.9)),
)


def make_world(seed: int, replicas: int = 3) -> World:
    world = World(seed, STORM)
    world.checks += INVARIANTS
    for number in range(replicas):
        policy = POLICIES[(seed + number) % len(POLICIES)]
        rules = msgspec.structs.replace(RULES, restart=policy, critical=world.loop.chance(0.3))
        replica = SimReplica(world, e.Slot(id=ReplicaId("app", "p", number), rules=rules))
        seen: list[int] = []
        replica.watchers.append(lambda replica=replica, seen=seen: incarnations_grow(replica, seen))
    return world


def rest(world: World) -> None:
    """No more commands: the keeper is up, and stays so, in a world without faults."""
    world.faults = CALM
    world.loop.run(31.0)
    assert world.keeper_up


@pytest.mark.parametrize("block", range(10))
def test_a_storm_breaks_no_invariant_and_a_stop_then_ends_everything_in_time(block: int) -> None:
    for seed in SEEDS[block::10]:
        world = make_world(seed)
        stop_commands = storm(world, 240.0)
        stop_commands()
        rest(world)
        for replica in world.replicas:
            replica.feed(e.Stop())
        world.loop.run(STOP_BOUND_S)
        left = [str(replica.slot) for replica in world.replicas if replica.slot.phase is not Phase.STOPPED]
        assert not left and not any(g.alive for g in world.groups), say(world, f"left after a stop: {left}")
        assert not world.published, say(world, f"published: {world.published}")


@pytest.mark.parametrize("block", range(5))
def test_what_is_wanted_up_comes_up_once_the_storm_is_over(block: int) -> None:
    for seed in SEEDS[block::5]:
        world = make_world(seed)
        stop_commands = storm(world, 120.0)
        stop_commands()
        rest(world)
        slow = max(replica.slot.rules.restart.slow_delay(1.0) for replica in world.replicas)
        world.loop.run(40.0 + 2 * slow + STOP_BOUND_S + RULES.startup_timeout)
        for replica in world.replicas:
            slot = replica.slot
            down = slot.want is Want.DOWN and slot.phase is Phase.STOPPED
            assert down or slot.ready or flapping(replica), say(world, f"not up again: {slot!r}")


def flapping(replica: SimReplica) -> bool:
    """Running, and not ready because the simulated process says so."""
    return replica.slot.phase is Phase.RUNNING and replica.group is not None and not replica.group.ready


def storm(world: World, seconds: float) -> Callable[[], None]:
    """Random commands for that long; returns what ends them."""
    on = [True]

    def maybe() -> None:
        if on[0]:
            loop = world.loop
            one_command(world)
            loop.after(loop.between(0.0, 12.0), maybe)

    world.loop.after(0.0, maybe)
    world.loop.run(seconds)
    return lambda: on.__setitem__(0, False)


def one_command(world: World) -> None:
    loop = world.loop
    replica = world.replicas[loop.rand.below(len(world.replicas))]
    commands = [
        e.Start(), e.Start(), e.Start(), e.Stop(), e.Stop(drain=0.5), e.Stop(force=True), e.Restart(),
        e.Restart(forgive=False), e.Restart(drain=0.0),
    ]  # fmt: skip
    replica.feed(commands[loop.rand.below(len(commands))])
    if loop.chance(0.05):
        world.kill_keeper(back_after=loop.between(0.05, 30.0))


def test_the_same_seed_gives_the_same_history() -> None:
    first, second = make_world(7), make_world(7)
    storm(first, 100.0)
    storm(second, 100.0)
    assert [*first.trace] == [*second.trace] and len(first.trace) > 50
