"""What the keeper looks at every few seconds: the size of pools that scale, replicas to be replaced, logs.

Processes that do neither are not looked at: an idle keeper is idle.
"""

from collections.abc import Callable
from typing import Final

from omnitron.base.errors import OmnitronError
from omnitron.model.scaling import Recycle
from omnitron.model.state import Phase, Reason
from omnitron.supervise.app import App
from omnitron.supervise.autoscale import Sample, Scale, autoscale
from omnitron.supervise.pool import Pool
from omnitron.supervise.recycle import Usage, recycle
from omnitron.supervise.replica import Replica

EVERY_S: Final = 5.0
PING_S: Final = 2.0  # for a replica to tell its counters; one that does not is the liveness probe's business


async def go_round(app: App, chores: Callable[[], None]) -> None:
    """For ever. chores: what the keeper does for itself each time."""
    scales: dict[str, Scale] = {}
    while True:
        await app.house.clock.sleep(EVERY_S)
        chores()
        app.house.logs.check()
        for pool in list(app.pools.values()):
            config, rules = pool.spec.process.scaling, pool.spec.process.recycle
            if (config.strategy == "manual" and rules == Recycle()) or pool.want != "up" or pool.reloading:
                continue
            for replica in pool.replicas.values():
                replica.sample()
                await _ask(replica)
            if config.strategy == "auto":
                scales[pool.name] = await _scale(app, pool, scales.get(pool.name, Scale(pool.count)))
            await _recycle(app, pool)


async def _ask(replica: Replica) -> None:
    if replica.link is None or replica.slot.phase is not Phase.RUNNING:
        return
    try:
        replica.stats = await replica.link.ping(PING_S)
    except (OmnitronError, TimeoutError):
        replica.stats = None


async def _scale(app: App, pool: Pool, state: Scale) -> Scale:
    if state.count != pool.count:  # somebody scaled it by hand
        state = Scale(pool.count, app.house.clock.monotonic())
    samples = [
        Sample(replica.cpu or 0.0, replica.stats.queued if replica.stats else 0)
        for replica in pool.replicas.values()
        if replica.slot.ready
    ]
    process = pool.spec.process
    new, why = autoscale(process.scaling, process.instances, samples, app.house.clock.monotonic(), state)
    if new.count != pool.count:
        app.house.journal.tell(f"{app.spec.app}/{pool.name}", "process.scaled", why, count=new.count)
        await pool.scale(new.count, why)
    return new


async def _recycle(app: App, pool: Pool) -> None:
    now = app.house.clock.monotonic()
    for number, replica in sorted(pool.replicas.items()):
        slot = replica.slot
        if not slot.ready or slot.running_since is None or replica.rss is None:
            continue
        calls = replica.stats.calls if replica.stats else 0
        usage = Usage(rss=replica.rss, age=now - slot.running_since, calls=calls)
        reason = recycle(pool.spec.process.recycle, usage, replica.luck)
        if reason is not None:
            await _replace(app, pool, number, reason)
            return


async def _replace(app: App, pool: Pool, number: int, reason: Reason) -> None:
    subject = f"{app.spec.app}/{pool.name}/{number}"
    app.house.journal.tell(subject, "replica.recycle", reason.text)
    try:
        await pool.reload(pool.spec, (number,), fresh=False)
    except OmnitronError as error:
        app.house.journal.tell(subject, "replica.recycle_failed", str(error), "warning")
