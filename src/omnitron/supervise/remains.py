"""What an incarnation leaves behind when its process has ended: found, so that a slot is never started over it."""

from omnitron.base.home import HOME_VARIABLE
from omnitron.control.keeper import AppSpec
from omnitron.control.replica import ENV_INCARNATION, ENV_INSTANCE_ID, ENV_STACK
from omnitron.supervise.house import House
from omnitron.supervise.output import Found
from omnitron.supervise.processinfo import all_pids, environment_of, output_link, read_stat
from omnitron.supervise.slot import Slot


def left_behind(house: House, slot: Slot, *, exited: bool, unverified: bool) -> list[int]:
    """Living processes of the incarnation but its leader: of its group, and orphans in groups of their own.

    exited: the leader has; before that its group is the leader's business. unverified: the pid is of an old note and
    may be another's by now, so only what bears the incarnation's marks counts.
    """
    group = house.spawner.members(slot.pid) if slot.pid is not None and exited else []
    if unverified:
        group = [pid for pid in group if is_of(house, slot, pid)]
    return [*group, *(pid for pid in house.spawner.orphans() if pid not in group and is_of(house, slot, pid))]


def is_of(house: House, slot: Slot, pid: int) -> bool:
    """Whether a process prints to the incarnation's pipes, or bears its marks in the environment."""
    pipes = str(house.run / "o" / f"{slot.id.process}.{slot.id.slot}.{slot.incarnation}.")
    if any(output_link(pid, descriptor).startswith(pipes) for descriptor in (1, 2)):
        return True
    env = environment_of(pid)
    marks = {ENV_INSTANCE_ID: str(slot.id), ENV_INCARNATION: str(slot.incarnation), HOME_VARIABLE: str(house.home)}
    return all(env.get(name) == value for name, value in marks.items())


def marked(house: House, app: AppSpec) -> list[Found]:
    """Living leaders of the app's replicas by the marks in their environment, for those that print elsewhere."""
    found = []
    for pid in all_pids():
        env = environment_of(pid)
        if env.get(HOME_VARIABLE) != str(house.home) or env.get(ENV_STACK) != app.stack:
            continue
        stat, (name, process, slot) = read_stat(pid), ([*env.get(ENV_INSTANCE_ID, "").split("/"), "", "", ""])[:3]
        ours = name == app.app and slot.isdecimal() and env.get(ENV_INCARNATION, "").isdecimal()
        if ours and stat is not None and stat.session == pid and not stat.zombie:
            found.append((float(stat.started), pid, Found(process, int(slot), int(env[ENV_INCARNATION]), pid)))
    return [one for _, _, one in sorted(found, key=lambda entry: entry[:2])]
