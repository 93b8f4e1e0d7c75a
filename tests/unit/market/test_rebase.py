"""A session of the past as an endless one of today."""

from itertools import islice, pairwise, takewhile
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from market.feeds import EXCHANGES
from market.rebase import Timeline, drift
from market.recordings import load
from market.replay import Pace, Replay, replaying
from market.trades import Trade, unique

names = pytest.mark.parametrize("name", sorted(EXCHANGES))
LAP = 56_000_000


def trades(timeline: Timeline, lap: int) -> list[Trade]:
    parse = EXCHANGES[timeline.session.exchange].parse
    return unique(trade for timed in timeline.lap(lap) for trade in parse(timed.frame))


@names
def test_a_lap_has_the_trades_of_the_recording_at_its_own_times_and_with_its_own_identities(
    data: Path, name: str
) -> None:
    session = load(data)[name]
    timeline = Timeline(session)
    original = unique(t for recorded in session.frames for t in EXCHANGES[name].parse(recorded.frame))
    first, second = trades(timeline, LAP), trades(timeline, LAP + 1)
    assert [(t.symbol, t.size) for t in first] == [(t.symbol, t.size) for t in original]
    assert not {t.identity for t in first} & {t.identity for t in second}
    shifts = {t.time_us - o.time_us for t, o in zip(first, original, strict=True)}
    assert max(shifts) - min(shifts) <= 1000  # milliseconds, on exchanges that state no more
    last = max(t.time_us for t in first) / 1e6
    assert LAP * timeline.lap_s - 1 < last < (LAP + 1) * timeline.lap_s
    assert {t.time_us for t in second} == {t.time_us + timeline.lap_s * 1_000_000 for t in first}
    for moved, recorded in zip(first, original, strict=True):
        assert abs(moved.price / recorded.price - drift(LAP)) <= 1 / recorded.price.scaleb(
            -recorded.price.as_tuple().exponent
        )  # type: ignore[operator]


@names
def test_nothing_rewritten_is_rejected_and_a_restart_sends_the_same(data: Path, name: str) -> None:
    one, other = (list(Timeline(load(data)[name]).lap(LAP)) for _ in range(2))
    assert one == other
    assert not [r for timed in one for r in EXCHANGES[name].read(timed.frame).rejected]


def test_a_timeline_goes_on_without_end_and_in_order(data: Path) -> None:
    timeline = Timeline(load(data)["okx"])
    moment = 1_700_000_000.0
    due = [timed.due for timed in islice(timeline.since(moment), 500)]
    assert due == sorted(due) and moment <= due[0] < moment + timeline.lap_s
    assert [timed.due for timed in islice(timeline.since(due[250]), 250)] == due[250:]


def test_prices_drift_but_stay_near_the_recorded_ones() -> None:
    factors = [drift(lap) for lap in range(LAP, LAP + 2000)]
    assert all(0.97 < factor < 1.03 for factor in factors)
    assert len(set(factors)) > 100
    assert max(abs(a - b) for a, b in pairwise(factors)) < 0.006


class StandingClock:
    """It is always the same moment, and no sleep ends: only the past can be sent."""

    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise TimeoutError(f"the past is over: {seconds}")


async def test_a_new_connection_first_gets_the_trades_of_the_past_it_should(data: Path) -> None:
    sessions = load(data)
    pace = Pace(rebase=True, history_s=300)
    expected = [
        timed.frame
        for timed in takewhile(lambda timed: timed.due < 1_700_000_000, Timeline(sessions["okx"]).since(1_699_999_700))
        if timed.trades
    ]
    async with replaying(Replay(sessions, pace, StandingClock())) as base:
        async with connect(f"{base}/okx", proxy=None) as socket:
            assert [await socket.recv() for _ in expected] == expected
            assert len(expected) > 100
