"""Rolling reloads in calm and in storm."""

from dataclasses import replace

import pytest
from sim_invariants import INVARIANTS, RULES, STOP_BOUND_S, say
from sim_reload import SimReload, pool

from omnitron.model.state import Phase
from omnitron.supervise import slot as e
from omnitron.testing.world import CALM, STORM, Faults, World


def calm_world(seed: int) -> World:
    world = World(seed)
    world.checks += INVARIANTS
    return world


@pytest.mark.parametrize("surge", [1, 2, 4])
def test_a_reload_of_a_pool_never_has_fewer_published_than_before(surge: int) -> None:
    for seed in range(10):
        world = calm_world(seed)
        holders = pool(world, 4, RULES)
        before = {x.slot.id: x.slot.incarnation for x in holders.values()}
        world.checks.append(lambda w: check_published(w, 4))
        reload = SimReload(world, holders, RULES, surge=surge)
        world.loop.run(60.0)
        assert reload.verdict == "4 of 4 replicas replaced", say(world, reload.verdict)
        assert reload.most_alive <= 4 + surge
        assert all(world.published[name] > number for name, number in before.items())
        assert len(world.replicas) == 4 and sum(g.alive for g in world.groups) == 4


def check_published(world: World, least: int) -> None:
    assert len(world.published) >= least, say(world, f"only {world.published} published")


def test_a_singleton_is_gone_before_its_successor_starts() -> None:
    for seed in range(10):
        world = calm_world(seed)
        holders = pool(world, 1, RULES)
        reload = SimReload(world, holders, RULES, in_place=True)
        world.checks.append(check_alone)
        world.loop.run(60.0)
        assert reload.verdict == "1 of 1 replicas replaced"
        assert holders[0].slot.ready and holders[0].slot.incarnation == 2


def check_alone(world: World) -> None:
    assert sum(g.alive for g in world.groups) <= 1, say(world, "a singleton lives twice")


@pytest.mark.parametrize("faults", [Faults(never_ready=1.0), Faults(crashes_booting=1.0), Faults(spawn_fails=1.0)])
def test_a_successor_that_fails_leaves_the_old_ones_serving_and_says_why(faults: Faults) -> None:
    for seed in range(5):
        world = calm_world(seed)
        holders = pool(world, 3, RULES)
        world.faults = faults
        world.checks.append(lambda w: check_published(w, 3))
        reload = SimReload(world, holders, RULES)
        world.loop.run(60.0)
        assert reload.state.failed and reload.verdict.endswith("0 of 3 replicas run the new code")
        assert [x.slot.incarnation for x in holders.values()] == [1, 1, 1]
        assert all(x.slot.ready for x in world.replicas) and len(world.replicas) == 3


def test_reloads_in_a_storm_break_no_invariant_and_leave_nothing_behind() -> None:
    for seed in range(60):
        world = calm_world(seed)
        holders = pool(world, 3, RULES)
        world.faults = replace(STORM, keeper_dies_mid_step=0.0)
        reload = SimReload(world, holders, RULES, surge=1 + seed % 3)
        if seed % 2:
            world.loop.after(world.loop.between(0.0, 8.0), lambda w=world: w.kill_keeper(5.0))
        world.loop.run(90.0)
        world.faults = CALM
        world.loop.run(90.0)
        assert reload.verdict, say(world, f"the rollout is still {reload.state}")
        for replica in list(world.replicas):
            replica.feed(e.Stop())
        world.loop.run(STOP_BOUND_S)
        left = [str(x.slot) for x in world.replicas if x.slot.phase is not Phase.STOPPED]
        assert not left and not any(g.alive for g in world.groups) and not world.published, say(world, f"left: {left}")


def test_a_singleton_never_lives_twice_even_when_reloaded_in_a_storm() -> None:
    for seed in range(40):
        world = calm_world(seed)
        holders = pool(world, 1, RULES)
        world.checks.append(check_alone)
        world.faults = replace(STORM, keeper_dies_mid_step=0.0)
        reload = SimReload(world, holders, RULES, in_place=True)
        world.loop.run(120.0)
        assert reload.verdict or holders[0].slot.due is not None, say(world, f"stuck: {reload.state}")
