"""A new keeper finds what an earlier one left: never a second copy of what still lives.

Two witnesses are asked. `keeper.json` says which process was in which slot, by pid and start time. The output pipes
say which living process is a replica of this app, even if that file is lost, or older than the last start. What both
agree on is adopted; what the file claims and nobody is any more is found dead and decided upon like any end; what
lives without being in the file waits for the first `apply` to say whose it is.
"""

from signal import SIGKILL, SIGTERM

from msgspec.structs import replace

from omnitron.base.errors import OmnitronError
from omnitron.base.names import ReplicaId
from omnitron.model.state import Phase, Reason, Want
from omnitron.supervise.app import App
from omnitron.supervise.output import Found, discover, stray_templates
from omnitron.supervise.pool import Pool
from omnitron.supervise.processinfo import is_alive, start_identity
from omnitron.supervise.remains import marked
from omnitron.supervise.saved import Role, SavedApp, SavedReplica
from omnitron.supervise.slot import Slot

Key = tuple[str, int, int]


def living(app: App, state: SavedApp | None) -> dict[Key, Found]:
    """All living replicas by (process, slot, incarnation)."""
    found = {(one.process, one.slot, one.incarnation): one for one in discover(app.house.run)}
    for known in state.replicas if state is not None else ():
        slot = known.slot
        key = (slot.id.process, slot.id.slot, slot.incarnation)
        if slot.pid is not None and is_alive(slot.pid, known.identity):
            found[key] = Found(*key, slot.pid)
    if state is None:
        for one in marked(app.house, app.spec):
            found.setdefault((one.process, one.slot, one.incarnation), one)
    return found


def adopt(app: App, state: SavedApp | None) -> None:
    """Take over what lives, decide about what does not, go on with what was under way."""
    found = living(app, state)
    for template in stray_templates(app.house.run):  # one that hangs in an import has not noticed the keeper's end
        app.house.spawner.signal_one(template, SIGKILL)
    app.house.addresses.sweep(set(found))
    if state is not None and state.spec is not None:
        app.failed = state.failed
        for spec in state.spec.processes:
            name = spec.process.name
            pool = app.pools[name] = Pool(app.house, spec, state.counts.get(name))
            pool.want = "down" if name in state.down else "up"
            _listen(app, pool, [one.pid for one in found.values() if one.process == name])
            _adopt_pool(pool, [r for r in state.replicas if r.slot.id.process == name], found)
    app.unclaimed = list(found.values())
    if app.failed:
        app.tasks.start(app.stop_all(Reason("escalated", f"the app failed: {app.failed}")), "app failed")
        return
    going = [pool for pool in app.pools.values() if pool.want == "up"]
    app.bring_up((p.name for p in going if any(n not in p.replicas for n in range(p.count))), Reason("starting", "new"))
    for pool in going:
        app.tasks.start(pool.make_template(), f"template {pool.name}")
    if app.pools:
        adopted = ", ".join(str(r.slot.id) for pool in app.pools.values() for r in pool.all() if r.identity)
        app.house.journal.tell(app.spec.app, "keeper.adopted", f"a new keeper adopts {adopted or 'nothing alive'}")


def _listen(app: App, pool: Pool, holders: list[int]) -> None:
    try:
        pool.listen(holders)
    except OmnitronError as error:  # its replicas live and keep the socket from us: they serve on without our help
        app.house.journal.tell(f"{app.spec.app}/{pool.name}", "listener.not_taken", str(error), "error")


def _adopt_pool(pool: Pool, known: list[SavedReplica], found: dict[Key, Found]) -> None:
    promoted = {r.slot.id.slot for r in known if r.role == "successor" and r.slot.ready}
    for one in known:
        role: Role = one.role
        if role != "leaving" and one.slot.id.slot in promoted:  # the reload had got so far: finish it
            role = "holder" if role == "successor" else "leaving"
        elif role == "successor":
            role = "leaving"
        slot = one.slot if role == "holder" else replace(one.slot, want=Want.DOWN, again=False)
        alive = found.pop((slot.id.process, slot.id.slot, slot.incarnation), None)
        if alive is None and role == "leaving" and not slot.phase.alive:
            continue
        replica = pool.restore(slot, role)
        if alive is not None:
            replica.adopt(alive.pid, alive.incarnation, start_identity(alive.pid), one.mode)
        elif slot.phase is not Phase.STOPPED:
            replica.found_dead()


def claim(app: App) -> None:
    """Now it is known what is wanted: living replicas that no file spoke of get their slots, or are ended."""
    for one in app.unclaimed:
        pool = app.pools.get(one.process)
        if pool is None:
            app.house.journal.tell(
                f"{app.spec.app}/{one.process}/{one.slot}", "replica.foreign",
                f"process {one.pid} belongs to no declared process; it is ended", "warning",
            )  # fmt: skip
            app.house.spawner.signal(one.pid, SIGTERM)
            continue
        fits = one.slot < pool.count and one.slot not in pool.replicas
        slot = Slot(
            id=ReplicaId(app.spec.app, one.process, one.slot),
            want=Want.UP if fits else Want.DOWN,
            incarnation=one.incarnation,
            next_incarnation=one.incarnation + 1,
            pid=one.pid,
        )
        replica = pool.restore(slot, "holder" if fits else "leaving")
        mode = "command" if pool.spec.process.command is not None else "spawn"
        replica.adopt(one.pid, one.incarnation, start_identity(one.pid), mode)
    app.unclaimed = []
