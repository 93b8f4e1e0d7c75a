"""An operation belongs to the daemon: followers come late or leave early and change nothing."""

import asyncio
from pathlib import Path

from omnitron.base.clock import SystemClock
from omnitron.base.errors import Refused
from omnitron.control.daemon import Progress
from omnitron.daemon import operation as module
from omnitron.daemon.journal import Journal
from omnitron.daemon.operation import Operation
from omnitron.store.store import open_store


def step(subject: str, state: str, **fields: bool) -> Progress:
    return Progress(subject=subject, state=state, **fields)


async def states(operation: Operation) -> list[str]:
    return [s.state async for s in operation.follow()]


async def test_a_late_follower_sees_every_step() -> None:
    operation = Operation("dev", frozenset({"market"}))
    early = asyncio.ensure_future(states(operation))
    operation.tell(step("market/http", "starting"))
    await asyncio.sleep(0)
    operation.tell(step("market/http", "ready", done=True))
    operation.settled("market")
    assert await states(operation) == await early == ["starting", "ready", "done"]


async def test_an_equal_step_is_told_once() -> None:
    operation = Operation("dev", frozenset({"market"}))
    for state in ("starting", "starting", "ready", "starting"):
        operation.tell(step("market/http", state))
    operation.end("done")
    assert await states(operation) == ["starting", "ready", "starting", "done"]


async def test_it_ends_with_the_last_of_its_apps_and_fails_if_anything_did() -> None:
    operation = Operation("dev", frozenset({"market", "ledger"}))
    operation.tell(step("market/http", "failed", done=True, failed=True))
    operation.settled("market")
    assert not operation.ended
    operation.settled("ledger")
    final = [s async for s in operation.follow()][-1]
    assert (final.state, final.failed, final.final) == ("failed", True, True)


async def test_the_end_is_told_even_after_too_many_steps(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "MAX_STEPS", 3)
    operation = Operation("dev", frozenset())
    for n in range(10):
        operation.tell(step("a", str(n)))
    operation.fail(Refused("no", remedy="Do it."))
    operation.end("done")
    assert await states(operation) == ["0", "1", "2", "failed"]


async def test_a_follower_of_events_gets_the_kept_ones_and_then_each_new_one(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db", SystemClock())
    journal = Journal(store, SystemClock())
    for kind in ("a", "b", "c"):
        journal.tell("dev", "market", kind)
    got: list[str] = []

    async def follow() -> None:
        async for event in journal.follow(2, "dev", ("market",)):
            got.append(event.kind)
            if event.kind == "e":
                return

    following = asyncio.ensure_future(follow())
    await asyncio.sleep(0)
    journal.tell("dev", "ledger", "other")
    journal.tell("dev", "market", "d")
    journal.tell("dev", "market", "e")
    await following
    assert got == ["b", "c", "d", "e"]
    store.close()
