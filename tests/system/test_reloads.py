"""Reloads under constant load: nobody is refused, nothing grows, and broken code stays outside.

Ten reloads in the suite; OMNITRON_RELOADS=50 for the figures.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from load import Load, get_all

from omnitron.testing.real import RealSystem

RELOADS = int(os.environ.get("OMNITRON_RELOADS", "10"))
SETTLE_S = 30.0
GROWTH = 3  # descriptors that may be under way at the moment of counting: a connection, a log file being rotated


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of apps/pool, to be edited."""
    copy = tmp_path_factory.mktemp("pool") / "pool"
    shutil.copytree(Path(__file__).parent / "apps" / "pool", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def pool(definition: Path) -> Iterator[RealSystem]:
    with RealSystem() as system:
        system.up(definition)
        yield system


def again(number: int) -> str:
    return f"/again/{number}"


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def footprint(system: RealSystem) -> dict[str, int]:
    """Descriptors of those who stay, and how many processes there are in all."""
    return {
        "daemon": descriptors(system.pid("daemon")),
        "keeper": descriptors(system.pid("keeper:shop")),
        "processes": len(system.survivors()),
    }


def edit(definition: Path, old: str, new: str) -> None:
    file = definition / "pooled" / "work.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def counted(system: RealSystem) -> dict[int, dict[str, int]]:
    """What the consumers of the stream have seen, by HTTP replica."""
    found: dict[int, dict[str, int]] = {}

    def all_seen() -> bool:
        for answer in get_all(system.url("shop/http"), ["/stream"] * 4):
            found[answer.body["server"]] = answer.body
        return len(found) >= 2

    system.wait(all_seen)
    return found


def test_reloads_under_load_lose_no_request_and_leave_nothing_behind(pool: RealSystem) -> None:
    system = pool
    system.act("reload", "shop")  # the first makes what is made once
    before = system.wait(lambda: footprint(system))
    replicas = set(system.pids().values())
    load = Load(system.url("shop/http"), again, kept=8, fresh=2, pause_s=0.01)
    took = []
    with load.running() as tally:
        system.wait(lambda: len(load) > 100)
        for _ in range(RELOADS):
            started = time.monotonic()
            system.act("reload", "shop")
            took.append(time.monotonic() - started)
            new = set(system.pids().values())
            assert not new & replicas  # every one of them is another
            replicas = new
        enough = len(load) + 100
        system.wait(lambda: len(load) > enough)
    assert [(a.path, a.status, a.error, a.body) for a in tally.failed] == []
    stalls = sorted(answer.took for answer in tally.answers)
    print(
        f"\n{RELOADS} reloads of 4 replicas, {len(tally.answers)} requests, 0 failed; a reload took "
        f"{min(took):.2f} to {max(took):.2f} s; answers: median {stalls[len(stalls) // 2] * 1000:.0f} ms, "
        f"longest {stalls[-1] * 1000:.0f} ms; before {before}, after {footprint(system)}"
    )

    def no_growth() -> bool:
        after = footprint(system)
        assert all(after[what] <= before[what] + (GROWTH if what != "processes" else 0) for what in before), after
        return True

    system.wait(no_growth, SETTLE_S)


def test_a_stream_is_told_to_move_on_and_goes_on_without_a_gap(pool: RealSystem) -> None:
    before = counted(pool)
    pool.act("reload", "shop/work")
    after = counted(pool)
    for server, seen in before.items():
        assert after[server]["moves"] > seen["moves"]
        assert after[server]["deaths"] == seen["deaths"]

    def going_on() -> bool:
        return all(now["counted"] > after[server]["counted"] for server, now in counted(pool).items())

    pool.wait(going_on)
    assert all(seen["gaps"] == 0 for seen in counted(pool).values())


def versions(system: RealSystem) -> set[str]:
    return {answer.body["version"] for answer in get_all(system.url("shop/http"), [again(n) for n in range(8)])}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param('VERSION = "one"', "VERSION = one", "NameError", id="does not import"),
        pytest.param('VERSION = "one"', 'VERSION = "one', "SyntaxError", id="does not parse"),
        pytest.param(
            "def __init__(self) -> None:\n",
            'def __init__(self) -> None:\n        raise RuntimeError("no ledger")\n',
            "no ledger",
            id="does not become ready",
        ),
    ],
)
def test_code_that_is_broken_is_refused_with_the_reason_and_the_old_serves_on(
    pool: RealSystem, definition: Path, old: str, new: str, says: str
) -> None:
    load = Load(pool.url("shop/http"), again, kept=4, fresh=1)
    replicas = pool.pids()
    with load.running() as tally:
        pool.wait(lambda: len(load) > 20)
        edit(definition, old, new)
        try:
            refused = pool.act("reload", "shop/work", check=False)
        finally:
            edit(definition, new, old)
        enough = len(load) + 20
        pool.wait(lambda: len(load) > enough)
    assert refused.returncode in (1, 3)
    assert says in refused.stdout + refused.stderr
    assert tally.failed == []
    assert pool.pids() == replicas
    why = pool.act("why", "shop/work").stdout
    assert says in why


def test_up_rolls_changed_code_without_losing_a_request(pool: RealSystem, definition: Path) -> None:
    assert versions(pool) == {"one"}
    edit(definition, 'VERSION = "one"', 'VERSION = "two"')
    load = Load(pool.url("shop/http"), again, kept=4, fresh=1)
    with load.running() as tally:
        pool.wait(lambda: len(load) > 20)
        pool.up(definition)
    assert tally.failed == []
    assert versions(pool) == {"two"}


def test_a_program_without_sockets_is_reloaded_in_place(real_system: Callable[..., RealSystem], tmp_path: Path) -> None:
    """`command=` entries can not overlap with their successor on a port of their own: they are stopped and started."""
    (tmp_path / "system.py").write_text(
        "from omnitron import Process, define_system\n"
        'system = define_system(name="tools", version="1.0.0", processes=[\n'
        '    Process(name="sleeper", command=["sleep", "1000"], instances=2)])\n'
    )
    system = real_system(tmp_path)
    before = system.pids()
    with system.census.watching() as twice:
        system.act("reload", "tools/sleeper")
    after = system.pids()
    assert before.keys() == after.keys() and not set(before.values()) & set(after.values())
    assert twice == []
    assert len(system.ready("tools/sleeper")) == 2
