"""What must hold in every simulated world after every step."""

from itertools import pairwise

from omnitron.model.state import Phase, Want
from omnitron.supervise.slot import Rules
from omnitron.testing.world import KILL_S, SWEEP_S, SimReplica, World

RULES = Rules(startup_timeout=8.0, drain_timeout=6.0, term_timeout=3.0)
# drain, SIGTERM, SIGKILL; each bound may be found by a sweep only; then the group goes.
STOP_BOUND_S = RULES.drain_timeout + RULES.term_timeout + 5.0 + 3 * SWEEP_S + KILL_S


def say(world: World, what: str) -> str:
    return f"seed {world.loop.seed}, {world.loop.time:.3f} s: {what}\n" + "\n".join([*world.trace][-40:])


def one_life_per_identity(world: World) -> None:
    """Per identity at most one live group, or two while a rollout has one retiring or on trial."""
    for replica in world.replicas:
        groups = world.alive(replica.slot.id)
        tracks = sum(other.slot.id == replica.slot.id for other in world.replicas)
        assert len(groups) <= min(2, tracks), say(world, f"{replica.slot.id} lives {len(groups)} times")
        mine = [group for group in groups if group.owner is replica]
        assert len(mine) <= 1, say(world, f"the slot of {replica.slot.id} lives {len(mine)} times")
        numbers = [group.incarnation for group in groups]
        assert len(numbers) == len({*numbers}), say(world, f"{replica.slot.id} has incarnation {numbers} twice")


def published_means_ready(world: World) -> None:
    for name, number in world.published.items():
        holders = [r.slot for r in world.replicas if r.slot.id == name and r.slot.incarnation == number]
        ready = any(slot.ready and slot.phase is Phase.RUNNING for slot in holders)
        assert ready, say(world, f"{name} #{number} is published and not ready: {holders}")


def ready_means_running(world: World) -> None:
    for replica in world.replicas:
        slot = replica.slot
        assert not slot.ready or (slot.phase is Phase.RUNNING and slot.pid), say(world, f"ready in {slot}")


def a_way_out_of_every_state(world: World) -> None:
    """Something is always pending: a timer, or a process that is up; rest without either is what was asked for."""
    for replica in world.replicas:
        slot = replica.slot
        match slot.phase:
            case Phase.STOPPED:
                assert slot.want is Want.DOWN and slot.due is None, say(world, f"stuck in {slot!r}")
            case Phase.RUNNING:
                assert slot.want is Want.UP and slot.incarnation, say(world, f"{slot!r}")
            case _:
                assert slot.due is not None, say(world, f"nothing pending in {slot!r}")


def restarts_within_intensity(world: World) -> None:
    for replica in world.replicas:
        policy = replica.slot.rules.restart
        starts, most = replica.starts, policy.intensity
        for first, beyond in zip(starts, starts[max(1, most) :], strict=False):
            assert beyond - first >= float(policy.period), say(world, f"{replica.slot.id} started at {starts}")


def incarnations_grow(replica: SimReplica, seen: list[int]) -> None:
    seen.append(replica.slot.incarnation)
    assert all(a <= b for a, b in pairwise(seen[-2:])), say(replica.world, f"incarnations {seen[-5:]}")


INVARIANTS = (
    one_life_per_identity,
    published_means_ready,
    ready_means_running,
    a_way_out_of_every_state,
    restarts_within_intensity,
)
