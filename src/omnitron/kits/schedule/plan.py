"""What to fire now: pure. Knows nothing of who else fires it (the ledger's matter), nor of what still runs."""

from dataclasses import dataclass
from typing import Final

from omnitron.declare.schedule import JobPolicy
from omnitron.kits.schedule.times import Times

FIRE_LIMIT: Final = 32  # firings of one job at once, the latest; older ones are skipped
_FIRST_WINDOW_S: Final = 64.0


@dataclass(frozen=True, slots=True)
class Plan:
    """fire: scheduled times to run now, oldest first. skipped: whether some were left out. wake: the next time."""

    fire: tuple[float, ...]
    skipped: bool
    wake: float | None


def plan(times: Times, policy: JobPolicy, seen: float, now: float) -> Plan:
    """seen: everything up to then has been decided.

    What is late by no more than the grace is on time. What is later was missed, since nobody ran: "run_once" makes up
    for all of it with one run (of the latest), "skip" does not, "run_all" runs each, up to FIRE_LIMIT.
    """
    due, more = _between(times, seen, now)
    missed = [t for t in due if now - t > policy.misfire_grace_s]
    on_time = due[len(missed) :]
    again = {"run_once": missed[-1:], "skip": [], "run_all": missed}[policy.misfire]
    fire = [*again, *on_time]
    return Plan(tuple(fire), more or len(fire) < len(due), times.after(now))


def _between(times: Times, start: float, end: float) -> tuple[list[float], bool]:
    """The latest FIRE_LIMIT times in (start, end], and whether there were more.

    Looks back in windows that double, so that a year of downtime of a job of every second costs no more than a minute.
    """
    window = _FIRST_WINDOW_S
    while True:
        begin = max(start, end - window)
        found: list[float] = []
        at = times.after(begin)
        while at is not None and at <= end:
            found.append(at)
            at = times.after(at)
        if begin == start or len(found) > FIRE_LIMIT:
            return found[-FIRE_LIMIT:], len(found) > FIRE_LIMIT
        window *= 2
