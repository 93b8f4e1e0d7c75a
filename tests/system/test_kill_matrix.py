"""kill -9 of every part of a system under load: what fails, how long it takes to heal, and that nobody runs twice.

With OMNITRON_RECORD=1 the figures are written to benchmarks/results/kill_matrix.json.
"""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from load import Answer, Load, Tally, get_all

from omnitron.testing.real import RealSystem

HEAL_S = 60.0
WARM = 100  # requests before the kill
AFTER = 200  # requests after it is healed
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "kill_matrix.json"


@dataclass(slots=True)
class Figures:
    """restored_ms: from the kill until the killed is whole again. disturbed_ms: until the last request that noticed."""

    killed: str
    method: str
    requests: int
    failed: int
    restored_ms: int = 0
    disturbed_ms: int = 0
    slowest_ms: int = 0


@pytest.fixture(scope="module")
def figures() -> Iterator[list[Figures]]:
    """Printed when all is done (`pytest -s`), and recorded if so asked."""
    rows: list[Figures] = []
    yield rows
    print(f"\n{'killed':<24}{'method':<8}{'requests':>9}{'failed':>8}{'restored':>10}{'disturbed':>11}{'slowest':>9}")
    for row in rows:
        print(
            f"{row.killed:<24}{row.method:<8}{row.requests:>9}{row.failed:>8}{row.restored_ms:>7} ms"
            f"{row.disturbed_ms:>8} ms{row.slowest_ms:>6} ms"
        )
    if os.environ.get("OMNITRON_RECORD") == "1":
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


class Killing:
    """One cell of the matrix: load, a kill, healing, more load."""

    def __init__(self, system: RealSystem, app: str, figures: list[Figures]) -> None:
        self.system, self.app, self.figures = system, app, figures
        self.pid = 0

    def run(self, target: str, path: Callable[[int], str], healed: Callable[[], object], **options: float) -> Tally:
        system, method = self.system, path(0).split("/")[1]
        system.wait(lambda: system.app(self.app).state == "ready")
        load = Load(system.url(f"{self.app}/http"), path, **options)  # type: ignore[arg-type]
        with system.census.watching() as twice, load.running() as tally:
            system.wait(lambda: len(load) > WARM)
            self.pid, killed_at = system.kill(target), time.monotonic()
            system.wait(healed, HEAL_S)
            restored_s = time.monotonic() - killed_at
            enough = len(load) + AFTER
            system.wait(lambda: len(load) > enough, HEAL_S)
        assert twice == []
        row = Figures(killed=target, method=method, requests=len(tally.answers), failed=len(tally.failed))
        row.restored_ms, row.disturbed_ms = round(restored_s * 1000), round(tally.healed_ms(killed_at))
        row.slowest_ms = round(tally.longest_stall_ms())
        self.figures.append(row)
        return tally


def again(number: int) -> str:
    return f"/again/{number}"


def once(number: int) -> str:
    return f"/once/{number}"


def died_in_flight(answer: Answer) -> bool:
    """Typed, and with the signal, unless the keeper's word was not there in the time that a failed call waits, or the
    keeper had adopted the replica: a status is told only to the parent.
    """
    known = r"(: killed by SIGKILL|: exit status unknown \(adopted\))?"
    told = re.search(rf"shop/work/\d died while it ran work\S*once{known}\.", json.dumps(answer.body))
    return answer.status == 502 and answer.body["code"] == "worker_died" and told is not None


@pytest.fixture
def killing(shop: RealSystem, figures: list[Figures]) -> Killing:
    return Killing(shop, "shop", figures)


@pytest.mark.parametrize("path", [again, once])
def test_the_death_of_the_daemon_is_not_noticed_and_its_successor_adopts_everything(
    killing: Killing, path: Callable[[int], str]
) -> None:
    system = killing.system
    replicas, keeper = system.pids(), system.pid("keeper:shop")

    def up_again() -> bool:
        system.up(Path(__file__).parent / "apps" / "pool")
        return system.pids() == replicas

    tally = killing.run("daemon", path, up_again)
    assert tally.failed == []
    assert system.pid("daemon") != killing.pid
    assert (system.pids(), system.pid("keeper:shop")) == (replicas, keeper)


@pytest.mark.parametrize("path", [again, once])
def test_the_death_of_a_keeper_is_not_noticed_and_its_successor_adopts_the_replicas(
    killing: Killing, path: Callable[[int], str]
) -> None:
    system = killing.system
    replicas = system.pids()
    tally = killing.run(
        "keeper:shop",
        path,
        lambda: system.pid("keeper:shop") != killing.pid and system.app("shop").state == "ready",
    )
    assert tally.failed == []
    assert system.pids() == replicas


def test_the_death_of_a_template_is_not_noticed_and_there_is_a_new_one(killing: Killing) -> None:
    system = killing.system
    replicas = system.pids()
    system.wait(lambda: system.pid("template:shop/work"))  # the new keeper may be about to make it
    tally = killing.run("template:shop/work", again, lambda: system.pid("template:shop/work") != killing.pid)
    assert tally.failed == []
    assert system.pids() == replicas


def test_the_death_of_a_worker_costs_no_idempotent_call(killing: Killing) -> None:
    system = killing.system
    tally = killing.run("shop/work/0", again, lambda: replaced(system, "shop/work/0", killing.pid))
    assert tally.failed == []
    assert any(answer.body["worker"] == system.pid("shop/work/0") for answer in tally.succeeded)


def test_the_death_of_a_worker_costs_other_calls_only_where_it_was_running_them(killing: Killing, runs: Path) -> None:
    system, before = killing.system, ran(runs)
    tally = killing.run(
        "shop/work/1",
        lambda n: f"/once/{n + 1_000_000}",
        lambda: replaced(system, "shop/work/1", killing.pid),
        kept=12,
        pause_s=0.0,
    )
    assert all(died_in_flight(answer) for answer in tally.failed), [a.body or a.error for a in tally.failed]
    assert len(tally.failed) <= 12  # one a connection: what was in flight
    executed = ran(runs) - before
    assert max(executed.values()) == 1  # never twice
    assert {answer.body["number"] for answer in tally.succeeded} <= set(executed)
    assert len(executed) <= len(tally.answers)


def test_the_death_of_an_http_replica_costs_only_the_requests_it_was_answering(killing: Killing) -> None:
    system = killing.system
    tally = killing.run(
        "shop/http/0", again, lambda: replaced(system, "shop/http/0", killing.pid), kept=12, fresh=2, pause_s=0.005
    )
    assert all(answer.status == 0 and answer.server in (killing.pid, None) for answer in tally.failed)
    assert max(Counter(answer.connection for answer in tally.failed).values(), default=0) <= 1
    assert {answer.server for answer in tally.succeeded} >= {system.pid("shop/http/0"), system.pid("shop/http/1")}


def test_a_stream_goes_on_without_a_gap_after_all_that(shop: RealSystem) -> None:
    """The consumers have begun again where they were, on whichever worker lived."""

    def counted() -> int:
        (answer,) = get_all(shop.url("shop/http"), ["/stream"])
        assert answer.body["gaps"] == 0
        return int(answer.body["counted"])

    before = counted()
    shop.wait(lambda: counted() > before)


@pytest.mark.parametrize("service", ["postgres", "redis"])
def test_the_death_of_infrastructure_costs_time_but_no_call_and_nothing_that_was_confirmed(
    store: RealSystem, figures: list[Figures], service: str
) -> None:
    killing = Killing(store, "store", figures)
    base = {"postgres": 0, "redis": 1_000_000}[service]
    tally = killing.run(
        f"infra:{service}",
        lambda n: f"/keep/{base + n}",
        lambda: store.infra(service).state == "ready" and store.infra(service).pid not in (None, killing.pid),
        pause_s=0.01,
    )
    assert tally.failed == []
    confirmed = {answer.body["number"] for answer in tally.succeeded}
    (kept,) = get_all(store.url("store/http"), ["/kept"])
    assert confirmed <= set(kept.body["database"])
    assert confirmed <= set(kept.body["redis"])


def replaced(system: RealSystem, target: str, pid: int) -> bool:
    replica = system.replica(target)
    return replica.ready and replica.pid not in (None, pid)


def ran(runs: Path) -> Counter[int]:
    return Counter(int(line) for line in runs.read_text().split()) if runs.exists() else Counter()
