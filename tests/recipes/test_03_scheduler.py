"""Recipe 3: two replicas hold the schedule, every tick fires once, and one customer's failure is its own."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from load import get_all

from omnitron.testing.real import RealSystem

EXAMPLE = Path(__file__).parents[2] / "examples" / "03-scheduler"
JOB = "reports.every_two_seconds"
TICK_S = 2
TICKS = 5
ENOUGH_S = 60.0

Run = dict[str, int | str]


@pytest.fixture(scope="module")
def reports() -> Iterator[RealSystem]:
    """The example as it is."""
    with RealSystem() as system:
        system.up(EXAMPLE)
        yield system


def runs(system: RealSystem) -> list[Run]:
    """What the example says has run, oldest first."""
    (answer,) = get_all(system.url("reports/http"), ["/runs"])
    assert answer.status == 200, answer
    return list(reversed(answer.body))


def firings(system: RealSystem) -> dict[int, str]:
    """What the ledger says about each tick: scheduled second to state."""
    path = system.home.run_dir(system.stack, "reports") / "state" / "schedule.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        rows = ledger.execute("SELECT scheduled, state FROM firing WHERE job = ? ORDER BY scheduled", (JOB,))
        return {int(scheduled): state for scheduled, state in rows}


def settled(system: RealSystem) -> tuple[list[Run], dict[int, str]]:
    """Both, at a moment at which nothing runs."""
    while True:
        before, made = firings(system), runs(system)
        if "running" not in before.values() and firings(system) == before:
            return made, before


def wait_for_ticks(system: RealSystem, count: int) -> None:
    after = len(runs(system)) + count
    system.wait(lambda: len(runs(system)) >= after, ENOUGH_S)


def check_every_tick_ran_once(system: RealSystem) -> None:
    made, ticks = settled(system)
    seconds = list(ticks)
    assert seconds == list(range(seconds[0], seconds[-1] + TICK_S, TICK_S))  # none is missing
    assert len(made) == list(ticks.values()).count("ok")  # none ran twice, or without being fired
    began = [int(run["second"]) for run in made]
    fired = [second for second, state in ticks.items() if state == "ok"]
    assert all(second <= run for second, run in zip(fired, began, strict=True))


def test_two_replicas_hold_the_schedule_and_every_tick_runs_once(reports: RealSystem) -> None:
    assert len(reports.ready("reports/http")) == 2
    wait_for_ticks(reports, TICKS)
    check_every_tick_ran_once(reports)


def test_one_customer_fails_alone(reports: RealSystem) -> None:
    wait_for_ticks(reports, 1)
    assert {(run["ok"], run["failed"]) for run in runs(reports)} == {(19, 1)}
    lines = reports.cli("logs", "reports/http", "-g", "no report for customer", "--stack", reports.stack).stdout
    assert "customer 13" in lines and "customer 12" not in lines


def test_a_replica_killed_between_ticks_costs_none_of_them(reports: RealSystem) -> None:
    wait_for_ticks(reports, 1)  # one has just ended
    last = str(runs(reports)[-1]["replica"])
    killed = reports.kill(last)
    wait_for_ticks(reports, TICKS)
    check_every_tick_ran_once(reports)
    reports.wait(lambda: len(reports.ready("reports/http")) == 2)
    assert reports.pid(last) != killed
