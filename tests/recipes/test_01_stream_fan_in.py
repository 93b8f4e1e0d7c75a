"""Recipe 1: six exchanges, real Postgres and Redis, and figures that equal an independent computation exactly."""

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from market_world import EXAMPLE, RECORDED_S, Market, exchanges, expected

from omnitron.testing.real import RealSystem

COMPLETE_S = 120.0
CHAOS_S = 15
SEED = 20261123


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    """The market, fed as fast as it reads."""
    with exchanges(speed=0) as feeds, RealSystem(env={"MARKET_FEEDS": feeds}) as system:
        system.up(EXAMPLE)
        with Market(system) as market:
            yield market


def test_every_candle_and_average_equals_the_independent_computation(market: Market) -> None:
    answers = expected()
    market.system.wait(lambda: not market.wrong(answers), COMPLETE_S)
    assert market.wrong(answers) == {}
    assert len(answers) > 80


def test_what_can_not_be_answered_is_said_as_problem_json(market: Market) -> None:
    unknown, interval = market.get("/vwap/NO-SUCH"), market.get("/candles/BTC-USDT?interval=7m")
    assert (unknown.status_code, interval.status_code) == (404, 422)
    for answer in (unknown, interval):
        assert answer.headers["content-type"] == "application/problem+json"
    assert unknown.json()["code"] == "not_found" and "NO-SUCH" in unknown.text
    assert interval.json()["code"] == "invalid_arguments" and "1h" in interval.text


def test_the_page_is_served(market: Market) -> None:
    page = market.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "<canvas" in page.text or "<svg" in page.text
    assert market.get("/about").json() == {"source": "live"}


def test_a_second_collector_is_refused_with_the_reason(market: Market) -> None:
    done = market.system.act("scale", "market/collector", "2", check=False)
    assert done.returncode == 3
    assert "singleton" in done.stderr and "fix:" in done.stderr
    assert len(market.system.process("market/collector").replicas) == 1


def test_passwords_are_masked_unless_asked_for(market: Market) -> None:
    system = market.system
    masked = system.act("env", "market/http", "--json").stdout
    shown = system.act("env", "market/http", "--show-secrets", "--json").stdout
    password = urlsplit(json.loads(shown)["DATABASE_URL"]).password
    assert password and password not in masked and "********" in masked


def test_the_processes_stop_in_reverse_order_of_need_and_nothing_is_left(market: Market) -> None:
    system = market.system
    system.cli("down", "--stack", system.stack)
    stopped = [event.subject for event in system.events("market") if event.kind == "replica.stopped"]
    assert stopped.index("market/http/0") < min(stopped.index(f"market/ohlcv-aggregator/{slot}") for slot in (0, 1))
    assert sorted(stopped) == sorted(set(stopped)) and len(stopped) == 5
    assert system.census.replicas() == {}
    system.cli("kill")
    system.wait(lambda: not system.survivors())


class Chaos:
    """Kills somebody once a second, by chance but by a fixed seed, nobody twice before everybody once.

    The daemon is started again by its operator.
    """

    def __init__(self, system: RealSystem, definition: Path) -> None:
        self.system, self.definition = system, definition
        self.killed: list[str] = []
        self._rand = random.Random(SEED)
        self._operators: list[threading.Thread] = []

    def run(self) -> None:
        until = time.monotonic() + CHAOS_S
        while time.monotonic() < until:
            victims = self.victims()
            target = self._rand.choice(sorted(set(victims) - set(self.killed)) or sorted(victims))
            try:
                os.kill(victims[target], signal.SIGKILL)
            except ProcessLookupError:
                continue
            self.killed.append(target)
            if target == "daemon":
                self._operators.append(threading.Thread(target=self._start_daemon))
                self._operators[-1].start()
            time.sleep(1.0)
        for operator in self._operators:
            operator.join()

    def victims(self) -> dict[str, int]:
        """By the kernel's word, so that it can go on without a daemon."""
        census = self.system.census
        found = {**census.replicas(), **{f"template of {name}": pids for name, pids in census.templates().items()}}
        found |= {f"keeper of {name}": pids for name, pids in census.keepers().items()}
        victims = {name: pids[0] for name, pids in found.items()}
        try:
            return victims | {"daemon": self.system.pid("daemon")}
        except (OSError, ValueError):
            return victims

    def _start_daemon(self) -> None:
        self.system.cli("up", str(self.definition), "--stack", self.system.stack, check=False)


def test_nothing_is_lost_and_nothing_counted_twice_while_somebody_is_killed_every_second(tmp_path: Path) -> None:
    """From a copy, lest an edit of the example be a reload."""
    answers, copy = expected(), tmp_path / "market"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    with exchanges(speed=RECORDED_S / CHAOS_S) as feeds, RealSystem(env={"MARKET_FEEDS": feeds}) as system:
        system.up(copy)
        chaos = Chaos(system, copy)
        with system.census.watching() as twice:
            chaos.run()
            system.up(copy)
            with Market(system) as market:
                system.wait(lambda: not market.wrong(answers), COMPLETE_S)
                assert market.wrong(answers) == {}
        assert twice == []
        assert len(chaos.killed) >= CHAOS_S / 2 and len(set(chaos.killed)) >= 8
        assert all(len(pids) == 1 for pids in system.census.replicas().values())
        print(f"\nkilled: {', '.join(chaos.killed)}")
