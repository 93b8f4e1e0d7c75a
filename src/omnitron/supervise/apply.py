"""From the app as it is to the app as it is wanted: what `apply` changes, and in which order."""

import asyncio

from omnitron.base.errors import OmnitronError
from omnitron.control.keeper import AppSpec, ProcessSpec
from omnitron.model.state import Reason
from omnitron.supervise.adopt import claim
from omnitron.supervise.app import App
from omnitron.supervise.order import flat
from omnitron.supervise.pool import Pool


async def apply(app: App, spec: AppSpec) -> None:
    """Make the app so. Returns when all is under way; raises what makes it impossible: a cycle, a taken port."""
    specs = {process.process.name: process for process in spec.processes}
    if app.failed and spec != app.spec:
        app.failed = ""
    before = app.spec
    app.set_spec(spec)
    try:
        admit(app, specs)
    except OmnitronError:
        app.set_spec(before)
        raise
    counts = {process.process.name: process.count for process in before.processes}
    gone = [name for name in app.pools if name not in specs]
    if gone:
        app.tasks.start(remove(app, gone), "remove")
    start, stop, reload = [], [], []
    for name in () if app.failed else flat(app.layers):
        pool, new = app.pools[name], specs[name]
        changed = new.fingerprint != pool.spec.fingerprint or pool.reloading
        if new.count != counts.get(name, new.count):
            app.tasks.start(pool.scale(new.count, f"scaled to {new.count}"), f"scale {name}")
        if not changed:
            pool.renew(new)
        if new.want == "down" and pool.want == "up":
            stop.append(name)
        elif new.want == "up" and (pool.want == "down" or not pool.replicas):
            pool.renew(new)
            start.append(name)
        elif changed and new.want == "up" and new.fingerprint != pool.refused_fingerprint:
            reload.append(name)
    if stop:
        app.tasks.start(app.bring_down(stop, Reason("stop", "not wanted any more")), "stop")
    app.bring_up(start, Reason("starting", "wanted by the definition"))
    roll(app, [specs[name] for name in reload])
    app.push_directory()
    app.news.tell()


def admit(app: App, specs: dict[str, ProcessSpec]) -> None:
    """Make pools and sockets first: a port that is taken refuses the whole, before anything is changed."""
    fresh = {name: Pool(app.house, spec) for name, spec in specs.items() if name not in app.pools}
    try:
        for pool in fresh.values():
            pool.listen([one.pid for one in app.unclaimed if one.process == pool.name])
    except OmnitronError:
        for pool in fresh.values():
            pool.close_listeners()
        raise
    for pool in fresh.values():
        pool.want = "down"  # until it is brought up, in order
    app.pools.update(fresh)
    claim(app)


async def remove(app: App, names: list[str]) -> None:
    """Processes that are no longer declared."""
    await app.bring_down(names, Reason("removed", "no longer part of the app"))
    for name in names:
        pool = app.pools.pop(name)
        pool.close_listeners()
        app.house.templates.drop(name)
        for replica in pool.all():
            replica.close()
    app.save()
    app.news.tell()


def roll(app: App, specs: list[ProcessSpec]) -> None:
    """Reload these one after the other, after what is being reloaded now; they replace those that wait, if any."""
    app.to_roll = specs
    if specs and (app.roller is None or app.roller.done()):
        app.roller = app.tasks.start(_roll(app), "reload")


async def _roll(app: App) -> None:
    while wanted := app.to_roll:
        pool = app.pools.get(wanted[0].process.name)
        if pool is not None and pool.reloading:
            await asyncio.shield(pool.news.next())
            continue
        spec = wanted.pop(0)
        if pool is None or spec.fingerprint == pool.refused_fingerprint:
            continue
        if spec.fingerprint == pool.spec.fingerprint:
            pool.renew(spec)
            continue
        try:
            await reload_each(app, [spec])
        except OmnitronError:
            if pool.refused_fingerprint == spec.fingerprint:
                for other in wanted:
                    _hold_back(app, other, f"not begun, since the reload of {pool.name} failed")
                wanted.clear()
            elif app.to_roll is wanted and pool.want == "up" and pool.spec.fingerprint != spec.fingerprint:
                wanted.insert(0, spec)  # broken off for another command: that is no verdict on the code


def _hold_back(app: App, spec: ProcessSpec, why: str) -> None:
    if (pool := app.pools.get(spec.process.name)) is not None:
        pool.refused_fingerprint, pool.verdict = spec.fingerprint, why
        app.house.journal.tell(
            f"{app.spec.app}/{pool.name}", "rollout.failed", why, "error", fingerprint=spec.fingerprint
        )


async def reload_each(app: App, specs: list[ProcessSpec]) -> str:
    """Reload one process after the other, those needed first. Raises after the first that was refused."""
    verdicts = []
    for spec in specs:
        name = spec.process.name
        subject = f"{app.spec.app}/{name}"
        app.house.journal.tell(subject, "rollout.begun", f"reload of {app.pools[name].count} replicas")
        try:
            verdict = await app.pools[name].reload(spec)
        except OmnitronError as error:
            app.house.journal.tell(subject, "rollout.failed", str(error), "error", fingerprint=spec.fingerprint)
            raise
        app.house.journal.tell(subject, "rollout.done", verdict)
        verdicts.append(f"{name}: {verdict}")
    return "; ".join(verdicts)
