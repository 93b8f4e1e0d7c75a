"""`@cron`, `@interval`, `@once`: run this method at times. One replica of all runs each firing, unless it says not."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.units import Duration, seconds

F = TypeVar("F", bound=Callable[..., Any])
Overlap = Literal["skip", "queue", "allow"]
Misfire = Literal["run_once", "skip", "run_all"]
MISFIRE_GRACE_S: Final = 60.0


class JobPolicy(msgspec.Struct, frozen=True):
    """overlap: what to do when a run is due while the last one still runs.
    misfire: what to do about firings missed by more than `misfire_grace_s` seconds (while nobody ran).
    every_replica: fire in each replica, instead of once among them.
    retry_on_crash: run again what a replica was running when it died; else it is only noted as lost.
    name: of the job; None is the method's.
    """

    overlap: Overlap = "skip"
    misfire: Misfire = "run_once"
    misfire_grace_s: float = MISFIRE_GRACE_S
    every_replica: bool = False
    name: str | None = None
    retry_on_crash: bool = False


class CronMark(msgspec.Struct, frozen=True):
    """expression: five or six fields, seconds first when six; read where jobs are planned, not here."""

    expression: str
    timezone: str
    policy: JobPolicy


class IntervalMark(msgspec.Struct, frozen=True):
    every_s: float
    policy: JobPolicy


class OnceMark(msgspec.Struct, frozen=True):
    """Exactly one of `at` (with a time zone) and `after_s` (seconds after the start)."""

    at: datetime | None
    after_s: float | None
    policy: JobPolicy


ScheduleMark = CronMark | IntervalMark | OnceMark


def cron(
    expression: str,
    *,
    timezone: str = "UTC",
    overlap: Overlap = "skip",
    misfire: Misfire = "run_once",
    misfire_grace: Duration = MISFIRE_GRACE_S,
    every_replica: bool = False,
    name: str | None = None,
    retry_on_crash: bool = False,
) -> Callable[[F], F]:
    """Run at the times of a cron expression, as in "0 */5 * * * *" (every five minutes, at second zero)."""
    return _mark(
        CronMark(expression, timezone, _policy(overlap, misfire, misfire_grace, every_replica, name, retry_on_crash))
    )


def interval(
    every: Duration,
    *,
    overlap: Overlap = "skip",
    misfire: Misfire = "run_once",
    misfire_grace: Duration = MISFIRE_GRACE_S,
    every_replica: bool = False,
    name: str | None = None,
    retry_on_crash: bool = False,
) -> Callable[[F], F]:
    """Run every so often."""
    every_s = seconds(every, what="interval")
    if every_s == 0:
        raise DefinitionError("An interval of zero would never rest.", remedy='Use something like @interval("10s").')
    return _mark(IntervalMark(every_s, _policy(overlap, misfire, misfire_grace, every_replica, name, retry_on_crash)))


def once(
    *,
    at: datetime | None = None,
    after: Duration | None = None,
    misfire: Misfire = "run_once",
    misfire_grace: Duration = MISFIRE_GRACE_S,
    every_replica: bool = False,
    name: str | None = None,
    retry_on_crash: bool = False,
) -> Callable[[F], F]:
    """Run one time: `at` a moment (with its time zone), or `after` so long from the start."""
    if (at is None) == (after is None):
        raise DefinitionError("@once needs a moment.", remedy="Give exactly one of at=datetime(...) and after='10s'.")
    if at is not None and at.tzinfo is None:
        raise DefinitionError(f"@once(at={at!r}) has no time zone.", remedy="Add tzinfo, as in tzinfo=timezone.utc.")
    after_s = None if after is None else seconds(after, what="delay")
    return _mark(OnceMark(at, after_s, _policy("skip", misfire, misfire_grace, every_replica, name, retry_on_crash)))


def schedule_marks(function: object) -> tuple[ScheduleMark, ...]:
    """The schedules of a function, as written from top to bottom."""
    marks = getattr(function, "__omnitron_schedules__", ())
    return marks if isinstance(marks, tuple) else ()


def _policy(
    overlap: Overlap, misfire: Misfire, grace: Duration, every_replica: bool, name: str | None, retry_on_crash: bool
) -> JobPolicy:
    for word, choices, what in ((overlap, get_args(Overlap), "overlap"), (misfire, get_args(Misfire), "misfire")):
        if word not in choices:
            raise DefinitionError(f"{what}={word!r} is not known.", remedy=f"Use one of {', '.join(choices)}.")
    return JobPolicy(overlap, misfire, seconds(grace, what="misfire grace"), every_replica, name, retry_on_crash)


def _mark(mark: ScheduleMark) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        marks = schedule_marks(function)
        setattr(function, "__omnitron_schedules__", (mark, *marks))  # noqa: B010 - unknown to type checkers
        return function

    return decorate
