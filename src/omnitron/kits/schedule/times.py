"""When a job is due, as pure functions of time. All times are Unix seconds.

Cron is read by cronsim. Around a change of the clocks (DST) it does what Debian's cron does, for expressions that name
one second and fixed minutes and hours: a time that does not exist on that day fires at the first minute that does, one
that comes twice fires the first time. cronsim keeps that to five fields, so a single second is taken off and added
again. Others ("*" or "*/n" in minutes or hours, several seconds) follow the clock on the wall as it really runs: every
real hour is an hour, a skipped time is skipped and a repeated one repeated.

Intervals are multiples since 1970, so that all replicas agree on them and a restart does not shift them.
"""

from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from omnitron.base.errors import DefinitionError
from omnitron.declare.schedule import CronMark, IntervalMark, ScheduleMark


class Times(Protocol):
    def after(self, moment: float) -> float | None:
        """The first time later than `moment`; None if there is none."""
        ...


class CronTimes:
    """Raises DefinitionError if the expression or the time zone can not be read."""

    def __init__(self, expression: str, timezone: str) -> None:
        try:
            self._zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise DefinitionError(
                f"There is no time zone {timezone!r}.", remedy='Use an IANA name, as in "Europe/Berlin" or "UTC".'
            ) from None
        fields = expression.split()
        self._second = 0
        if len(fields) == 6 and fields[0].isdecimal() and int(fields[0]) < 60:
            self._second = int(fields.pop(0))
        self._expression = " ".join(fields)
        try:
            CronSim(self._expression, datetime.fromtimestamp(0, self._zone))
        except CronSimError as error:
            raise DefinitionError(
                f"The cron expression {expression!r} can not be read: {error}.",
                remedy='Write "[second] minute hour day month weekday", as in "0 */5 * * * *".',
            ) from None

    def after(self, moment: float) -> float | None:
        start = datetime.fromtimestamp(moment - self._second, self._zone)
        for found in CronSim(self._expression, start):
            time = found.timestamp() + self._second
            if time > moment:
                return time
        return None


class IntervalTimes:
    def __init__(self, every_s: float) -> None:
        self._every_s = every_s

    def after(self, moment: float) -> float | None:
        count = int(moment // self._every_s) + 1
        return count * self._every_s if count * self._every_s > moment else (count + 1) * self._every_s


class OnceTimes:
    def __init__(self, at: float) -> None:
        self._at = at

    def after(self, moment: float) -> float | None:
        return self._at if self._at > moment else None


def times_of(mark: ScheduleMark, since: float) -> Times:
    """since: when the job was first seen, from which `@once(after=...)` counts. Raises DefinitionError."""
    if isinstance(mark, CronMark):
        return CronTimes(mark.expression, mark.timezone)
    if isinstance(mark, IntervalMark):
        return IntervalTimes(mark.every_s)
    return OnceTimes(mark.at.timestamp() if mark.at is not None else since + (mark.after_s or 0.0))


def next_fire(mark: ScheduleMark, after: float, *, since: float = 0.0) -> float | None:
    """The first time of the job later than `after`, or None."""
    return times_of(mark, since).after(after)
