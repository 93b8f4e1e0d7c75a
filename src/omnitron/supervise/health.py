"""Is it alive, may it be called: asked at intervals, and often while a command starts.

One bad answer means little; after `failures` in a row the machine is told. A replica whose event loop does not answer
at all is first asked to print where it hangs: the stacks are in its log before it is killed.
"""

import os
from typing import Final, Protocol

from omnitron.base.errors import OmnitronError
from omnitron.control.keeper import ProcessSpec
from omnitron.control.replica import DUMP_SIGNAL, ReplicaStats
from omnitron.model.state import Phase
from omnitron.supervise import slot as e
from omnitron.supervise.house import House
from omnitron.supervise.launching import environment, folder
from omnitron.supervise.link import ReplicaLink
from omnitron.supervise.probe import FIRST_WAIT_S, LONGEST_WAIT_S, Probe

DUMP_S: Final = 0.3  # for the stacks to be printed before the kill


class Watched(Protocol):
    """A replica, as its probes see it."""

    spec: ProcessSpec
    slot: e.Slot
    stats: ReplicaStats | None
    link: ReplicaLink | None

    def post(self, event: e.Event) -> None: ...


async def watch_replica(replica: Watched, incarnation: int, house: House) -> None:
    """Ask our own replica, whose answer comes from its event loop, and so is liveness and readiness at once."""
    health = replica.spec.process.health
    bad = silent = 0
    while health.enabled:
        await house.clock.sleep(float(health.interval))
        if replica.link is None or replica.slot.phase is not Phase.RUNNING:
            continue
        why = ""
        try:
            replica.stats = await replica.link.ping(float(health.timeout))
        except TimeoutError:
            why, silent = f"no answer within {float(health.timeout):g}s: its event loop is blocked", silent + 1
        except OmnitronError as error:
            why = f"bad answer: {error}"
        if not why:
            bad = silent = 0
            assert replica.stats is not None
            ready = replica.stats.ready
            replica.post(e.Ready(incarnation) if ready else e.NotReady(incarnation, "its readiness check says no"))
            continue
        bad += 1
        if bad >= health.failures:
            if silent and replica.slot.pid is not None:
                house.spawner.signal_one(replica.slot.pid, DUMP_SIGNAL)
                await house.clock.sleep(DUMP_S)
            text = f"liveness probe failed {bad} times in a row, last: {why}"
            replica.post(e.ProbeFailed(incarnation, "event_loop" if silent else "liveness", text))
            return


async def watch_command(replica: Watched, incarnation: int, house: House) -> None:
    """Ask another program by its declared probe: first until it is up, then at intervals."""
    spec, app = replica.spec, house.owner.spec
    health = spec.process.health
    assert health.probe is not None
    env = environment(os.environ, house.home, app, spec, replica.slot.id.slot, incarnation)
    probe = Probe(health.probe, house.spawner, env, folder(app, spec))
    wait, told = FIRST_WAIT_S, ""
    while not (answer := await probe.ask(float(health.timeout))).ok:
        if answer.why != told:
            told = answer.why
            replica.post(e.Booting(incarnation, f"waiting for {answer.why}"))
        await house.clock.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_S)
    replica.post(e.Ready(incarnation))
    bad = 0
    while health.enabled:
        await house.clock.sleep(float(health.interval))
        answer = await probe.ask(float(health.timeout))
        bad = 0 if answer.ok else bad + 1
        if bad >= health.failures:
            text = f"liveness probe failed {bad} times in a row, last: {answer.why}"
            replica.post(e.ProbeFailed(incarnation, "liveness", text))
            return
