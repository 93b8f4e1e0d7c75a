import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from omnitron.base.errors import DeadlineExceeded, DefinitionError, OperationError
from omnitron.declare.schedule import cron, interval, once
from omnitron.declare.service import service
from omnitron.kits.schedule import FanOutFailed, Ledger, Scheduler, fan_out
from omnitron.kits.schedule.ledger import ALLOW_LIMIT, HISTORY, LEASE_S, QUEUE_LIMIT
from omnitron.kits.schedule.scheduler import jobs_of
from omnitron.testing.clock import FakeClock

START = 1_700_000_000.0  # a multiple of 10


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every ledger a test opens is closed after it, as the scheduler's provider does."""
    opened: list[Ledger] = []
    init = Ledger.__init__

    def recording(self: Ledger, path: Path | None) -> None:
        init(self, path)
        opened.append(self)

    monkeypatch.setattr(Ledger, "__init__", recording)
    yield
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(None)
    ledger.job("j", START)
    return ledger


def test_only_one_gets_a_firing(ledger: Ledger) -> None:
    claims = [ledger.claim("j", START + 10, f"m/h/{n}", "skip", START + 10) for n in range(4)]
    assert claims == ["running", "taken", "taken", "taken"]


def test_a_firing_decided_before_is_not_to_be_had_also_when_its_row_is_gone(ledger: Ledger) -> None:
    ledger.advance("j", START + 20)
    assert ledger.claim("j", START + 10, "late", "skip", START + 30) == "taken"
    assert ledger.claim("j", START + 30, "on time", "skip", START + 30) == "running"


def test_overlap_decides_what_happens_while_the_last_run_goes_on(ledger: Ledger) -> None:
    assert ledger.claim("j", START + 10, "a", "skip", START + 10) == "running"
    assert ledger.claim("j", START + 11, "b", "skip", START + 11) == "skipped"
    assert ledger.claim("j", START + 12, "b", "queue", START + 12) == "queued"
    assert ledger.claim("j", START + 13, "b", "allow", START + 13) == "running"


def test_queued_firings_run_one_after_the_other_in_their_order(ledger: Ledger) -> None:
    ledger.claim("j", START + 1, "a", "queue", START + 1)
    ledger.claim("j", START + 2, "b", "queue", START + 2)
    ledger.claim("j", START + 3, "c", "queue", START + 3)
    assert not ledger.start("j", START + 2, START + 4)
    ledger.finish("j", START + 1, "a", "ok", "", START + 5)
    assert not ledger.start("j", START + 3, START + 5)
    assert ledger.start("j", START + 2, START + 5)
    assert not ledger.start("j", START + 2, START + 5)


def test_queue_and_parallel_runs_are_bounded(ledger: Ledger) -> None:
    claims = [ledger.claim("j", START + n, "a", "queue", START) for n in range(1, QUEUE_LIMIT + 3)]
    assert claims == ["running"] + ["queued"] * QUEUE_LIMIT + ["skipped"]
    ledger.job("k", START)
    claims = [ledger.claim("k", START + n, "a", "allow", START) for n in range(1, ALLOW_LIMIT + 2)]
    assert claims == ["running"] * ALLOW_LIMIT + ["skipped"]


def test_a_firing_whose_holder_died_is_lost_or_run_by_another(ledger: Ledger) -> None:
    ledger.claim("j", START + 10, "dead", "skip", START + 10)
    ledger.claim("j", START + 11, "alive", "allow", START + 11)
    ledger.renew("alive", START + 10 + LEASE_S)
    late = START + 10 + 1.5 * LEASE_S
    assert ledger.orphans("j", "heir", START + 10 + LEASE_S / 2, retry=True) == []
    assert ledger.orphans("j", "heir", late, retry=True) == [START + 10]
    assert ledger.orphans("j", "other", late, retry=True) == []
    assert ledger.orphans("j", "other", late + 2 * LEASE_S, retry=False) == [START + 10, START + 11]
    assert [f.state for f in ledger.history("j")] == ["lost", "lost"]


def test_history_is_bounded_and_keeps_what_runs(ledger: Ledger) -> None:
    ledger.claim("j", START + 1, "slow", "allow", START + 1)
    for n in range(2, HISTORY + 50):
        ledger.claim("j", START + n, "a", "allow", START + n)
        ledger.finish("j", START + n, "a", "ok", "", START + n)
        ledger.advance("j", START + n)
    rows = ledger.history("j", 1000)
    assert len(rows) == HISTORY + 1 and rows[-1].state == "running"


def test_a_damaged_ledger_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "schedule.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(OperationError, match="remove it"):
        Ledger(path)


@service("report@1.0.0")
class Report:
    def __init__(self) -> None:
        self.ran: list[str] = []
        self.wait: asyncio.Event | None = None
        self.error: Exception | None = None

    @interval("10s")
    async def tick(self) -> None:
        self.ran.append("tick")
        if self.error:
            raise self.error
        if self.wait:
            await self.wait.wait()


@asynccontextmanager
async def replicas(count: int, clock: FakeClock, ledger: Ledger, cls: type[Report] = Report) -> AsyncIterator[
    list[tuple[Scheduler, Report, dict[str, float]]]
]:  # fmt: skip
    made = []
    for n in range(count):
        target, metrics = cls(), dict[str, float]()
        scheduler = Scheduler(jobs_of([target]), ledger, f"m/h/{n}", clock, metrics)
        scheduler.start()
        made.append((scheduler, target, metrics))
    try:
        yield made
    finally:
        for scheduler, _, _ in made:
            await scheduler.stop(timeout=0.01)


async def test_a_tick_fires_once_among_all_replicas() -> None:
    clock, ledger = FakeClock(START + 1), Ledger(None)
    async with replicas(3, clock, ledger) as all_:
        for _ in range(6):
            await clock.advance(10)
        assert sum(len(service.ran) for _, service, _ in all_) == 6
        history = await all_[0][0].history("report.tick")
        assert [f.scheduled - START for f in history] == [60, 50, 40, 30, 20, 10]
        assert all(f.state == "ok" and f.finished is not None for f in history)
        assert sum(metrics.get("schedule.report.tick.ok", 0) for _, _, metrics in all_) == 6


class EveryReplica(Report):
    @interval("10s", every_replica=True)
    async def tick(self) -> None:
        self.ran.append("tick")


async def test_every_replica_is_said_aloud_and_then_each_fires() -> None:
    clock = FakeClock(START + 1)
    async with replicas(3, clock, Ledger(None), EveryReplica) as all_:
        await clock.advance(10)
        assert [service.ran for _, service, _ in all_] == [["tick"]] * 3


async def test_a_run_longer_than_its_tick_does_not_overlap_itself() -> None:
    clock, ledger = FakeClock(START + 1), Ledger(None)
    async with replicas(1, clock, ledger) as [(scheduler, service, metrics)]:
        service.wait = asyncio.Event()
        await clock.advance(30)
        assert len(service.ran) == 1 and metrics["schedule.report.tick.skipped"] == 2
        service.wait.set()
        await clock.advance(10)
        assert len(service.ran) == 2
        assert [f.state for f in await scheduler.history("report.tick")] == ["ok", "skipped", "skipped", "ok"]


async def test_a_failure_is_noted_and_the_next_tick_fires() -> None:
    clock, ledger = FakeClock(START + 1), Ledger(None)
    async with replicas(1, clock, ledger) as [(scheduler, service, metrics)]:
        service.error = ValueError("no data")
        await clock.advance(10)
        service.error = None
        await clock.advance(10)
        states = [(f.state, f.error) for f in await scheduler.history("report.tick")]
        assert states == [("ok", ""), ("failed", "ValueError: no data")]
        assert metrics["schedule.report.tick.failed"] == 1


async def test_after_downtime_one_run_makes_up_for_all_that_was_missed() -> None:
    clock, ledger = FakeClock(START + 1), Ledger(None)
    async with replicas(1, clock, ledger) as [(_, service, _)]:
        await clock.advance(10)
    await clock.advance(3600)
    async with replicas(1, clock, ledger) as [(_, service, _)]:
        await clock.advance(1)
        on_time = 6  # within the grace of a minute
        assert len(service.ran) == 1  # the others overlap with it
        history = ledger.history("report.tick")
        assert len(history) == 1 + 1 + on_time


class MakesUp(Report):
    @interval("10s", misfire="run_all")
    async def tick(self) -> None:
        self.ran.append("tick")


async def test_run_all_makes_up_for_each_missed_run() -> None:
    clock, ledger = FakeClock(START + 1), Ledger(None)
    async with replicas(1, clock, ledger, MakesUp):
        await clock.advance(10)
    await clock.advance(150)
    async with replicas(2, clock, ledger, MakesUp) as all_:
        await clock.advance(8)
        assert sum(len(service.ran) for _, service, _ in all_) == 15
        assert {f.state for f in ledger.history("MakesUp.tick")} == {"ok"}


async def test_a_stop_lets_the_run_in_hand_finish() -> None:
    clock, ledger = FakeClock(START + 1), Ledger(None)
    async with replicas(1, clock, ledger) as [(scheduler, service, _)]:
        service.wait = asyncio.Event()
        await clock.advance(10)
        stopping = asyncio.ensure_future(scheduler.stop(timeout=30))
        await asyncio.sleep(0)
        service.wait.set()
        await stopping
        assert ledger.history("report.tick")[0].state == "ok"


class Wrong:
    @cron("0 99 * * * *")
    async def job(self) -> None: ...


class Twice:
    @interval("1s", name="same")
    @interval("2s", name="same")
    async def job(self) -> None: ...


class Two:
    @once(after="1s")
    @interval("2s")
    async def job(self) -> None: ...


def test_wrong_jobs_are_refused_at_the_start_and_two_marks_are_two_jobs() -> None:
    for cls, words in ((Wrong, "cron expression"), (Twice, "one name")):
        with pytest.raises(DefinitionError, match=words):
            Scheduler(jobs_of([cls()]), Ledger(None), "m/h/0", FakeClock(), {})
    assert [job.name for job in jobs_of([Two()])] == ["Two.job.0", "Two.job.1"]


async def test_fan_out_keeps_the_others_when_one_fails_and_the_order_of_the_items() -> None:
    running = 0
    most = 0

    async def work(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if n % 10 == 3:
            raise ValueError(f"bad {n}")
        return n * n

    results = await fan_out(range(30), work, limit=4)
    assert most == 4 and len(results) == 30
    assert [o.item for o in results] == list(range(30))
    assert [o.value for o in results.ok][:4] == [0, 1, 4, 16]
    assert [o.item for o in results.failed] == [3, 13, 23]
    with pytest.raises(FanOutFailed, match=r"3 of 30 items failed, such as 3: ValueError: bad 3"):
        results.raise_if_failed()


async def test_fan_out_gives_up_at_its_deadline_what_is_not_done() -> None:
    async def work(n: int) -> int:
        if n:
            await asyncio.Event().wait()
        return n

    results = await fan_out(range(5), work, limit=2, deadline=0.01)
    assert [o.error is None for o in results] == [True, False, False, False, False]
    assert all(isinstance(o.error, DeadlineExceeded) for o in results.failed)


async def test_fan_out_of_nothing_is_nothing_and_an_inner_cancellation_is_one_failure() -> None:
    async def cancelled(n: int) -> None:
        raise asyncio.CancelledError

    assert len(await fan_out([], cancelled)) == 0
    assert len((await fan_out([1, 2], cancelled)).failed) == 2
