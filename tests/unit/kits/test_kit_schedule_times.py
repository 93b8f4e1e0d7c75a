from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnitron.base.errors import DefinitionError
from omnitron.declare.schedule import CronMark, IntervalMark, JobPolicy, OnceMark
from omnitron.kits.schedule.plan import FIRE_LIMIT, plan
from omnitron.kits.schedule.times import CronTimes, IntervalTimes, next_fire

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo | None = None) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC).timestamp()


def fires(expression: str, start: str, hours: float, zone: str = "Europe/Berlin") -> list[str]:
    """Local times of all firings within so many hours from a local time."""
    times = CronTimes(expression, zone)
    moment = at(start, ZoneInfo(zone))
    end = moment + hours * 3600
    found = []
    while (next_ := times.after(moment)) is not None and next_ <= end:
        found.append(datetime.fromtimestamp(next_, ZoneInfo(zone)).strftime("%d %H:%M:%S %z"))
        moment = next_
    return found


def test_six_fields_begin_with_seconds_and_five_with_minutes() -> None:
    assert fires("15 */20 * * * *", "2026-01-01T00:00:00", 1, "UTC") == [
        "01 00:00:15 +0000",
        "01 00:20:15 +0000",
        "01 00:40:15 +0000",
    ]
    assert fires("*/30 * * * *", "2026-01-01T00:00:00", 1, "UTC") == ["01 00:30:00 +0000", "01 01:00:00 +0000"]
    assert len(fires("*/10 * * * * *", "2026-01-01T00:00:00", 1 / 60, "UTC")) == 6


def test_a_time_that_the_clock_skips_fires_at_the_first_minute_there_is() -> None:
    assert fires("0 30 2 * * *", "2026-03-28T12:00:00", 40) == ["29 03:00:00 +0200", "30 02:30:00 +0200"]
    assert fires("15 30 2 * * *", "2026-03-28T12:00:00", 20) == ["29 03:00:15 +0200"]


def test_a_time_that_the_clock_shows_twice_fires_once() -> None:
    assert fires("0 30 2 * * *", "2026-10-24T12:00:00", 40) == ["25 02:30:00 +0200", "26 02:30:00 +0100"]
    assert fires("0 0,30 2 * * *", "2026-10-24T12:00:00", 20) == ["25 02:00:00 +0200", "25 02:30:00 +0200"]


def test_between_the_two_times_of_a_repeated_hour_nothing_fires_again() -> None:
    second_pass = datetime(2026, 10, 25, 2, 15, tzinfo=BERLIN, fold=1).timestamp()
    following = CronTimes("0 30 2 * * *", "Europe/Berlin").after(second_pass)
    assert following == at("2026-10-26T02:30:00", BERLIN)


def test_hourly_jobs_run_every_real_hour_through_both_changes() -> None:
    for start in ("2026-03-29T00:30:00", "2026-10-25T00:30:00"):
        assert len(fires("0 0 * * * *", start, 5)) == 5


def test_what_can_not_be_read_says_why() -> None:
    with pytest.raises(DefinitionError, match="hour"):
        CronTimes("0 0 25 * * *", "UTC")
    with pytest.raises(DefinitionError, match="Wrong number of fields"):
        CronTimes("* * *", "UTC")
    with pytest.raises(DefinitionError, match="time zone"):
        CronTimes("0 0 * * * *", "Mars/Olympus")


def test_a_date_that_never_comes_has_no_next_time() -> None:
    assert CronTimes("0 0 29 2 *", "UTC").after(at("2026-01-01")) == at("2028-02-29")


def test_intervals_are_the_same_for_everybody() -> None:
    assert IntervalTimes(10).after(1005.0) == 1010.0
    assert IntervalTimes(10).after(1010.0) == 1020.0


@given(st.floats(0.1, 1e5), st.floats(0, 4e9))
def test_an_interval_is_always_in_the_future_and_no_further_than_its_length(every: float, moment: float) -> None:
    following = IntervalTimes(every).after(moment)
    assert following is not None and moment < following <= moment + every * 1.001 + 1e-6


@given(st.sampled_from(["0 */5 * * * *", "30 2 * * *", "*/7 30 1-3 * * *", "0 0 3 * * SUN"]), st.floats(1.7e9, 1.9e9))
def test_cron_is_always_in_the_future_and_nothing_lies_between(expression: str, moment: float) -> None:
    times = CronTimes(expression, "Europe/Berlin")
    following = times.after(moment)
    assert following is not None and following > moment
    assert times.after((moment + following) / 2) == following


def test_once_fires_at_its_moment_or_so_long_after_it_was_first_seen() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    mark = OnceMark(moment, None, JobPolicy())
    assert next_fire(mark, moment.timestamp() - 1) == moment.timestamp()
    assert next_fire(mark, moment.timestamp()) is None
    assert next_fire(OnceMark(None, 30.0, JobPolicy()), 1000.0, since=1000.0) == 1030.0


NOW = at("2026-05-05T12:00:00")
EVERY_MINUTE = CronTimes("0 * * * * *", "UTC")


def planned(misfire: str, down: timedelta, grace: float = 60.0) -> tuple[list[float], bool]:
    result = plan(EVERY_MINUTE, JobPolicy(misfire=misfire, misfire_grace_s=grace), NOW - down.total_seconds(), NOW)  # type: ignore[arg-type]
    assert result.wake == NOW + 60
    return [t - NOW for t in result.fire], result.skipped


def test_nothing_is_due_before_its_time() -> None:
    assert plan(EVERY_MINUTE, JobPolicy(), NOW, NOW + 59).fire == ()


def test_what_is_a_little_late_is_on_time() -> None:
    assert planned("skip", timedelta(seconds=30)) == ([0.0], False)
    assert planned("skip", timedelta(seconds=70)) == ([-60.0, 0.0], False)


def test_missed_runs_are_made_up_by_policy() -> None:
    down = timedelta(minutes=10)
    assert planned("run_once", down) == ([-120.0, -60.0, 0.0], True)
    assert planned("skip", down) == ([-60.0, 0.0], True)
    assert planned("run_all", down) == ([-60.0 * n for n in range(9, -1, -1)], False)


def test_a_year_of_missed_runs_is_bounded() -> None:
    fire, skipped = planned("run_all", timedelta(days=365))
    assert len(fire) == FIRE_LIMIT and fire[-1] == 0.0 and skipped
    assert planned("run_once", timedelta(days=365)) == ([-120.0, -60.0, 0.0], True)


def test_a_rare_job_is_found_again_after_a_long_downtime() -> None:
    yearly = CronTimes("0 0 0 1 1 *", "UTC")
    result = plan(yearly, JobPolicy(), at("2025-12-01"), NOW)
    assert result.fire == (at("2026-01-01"),)


def test_marks_give_their_times() -> None:
    assert next_fire(CronMark("0 0 12 * * *", "UTC", JobPolicy()), NOW - 1) == NOW
    assert next_fire(IntervalMark(3600.0, JobPolicy()), NOW) == NOW + 3600
