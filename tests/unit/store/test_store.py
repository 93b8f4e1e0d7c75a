"""The store: what is saved is found again, whole or not at all."""

import os
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from omnitron.base.clock import SystemClock
from omnitron.base.errors import Refused
from omnitron.control.events import Event
from omnitron.control.keeper import AppSpec, ProcessSpec
from omnitron.model.process import Process
from omnitron.model.state import Want
from omnitron.store import history
from omnitron.store.database import StoreFailed, StoreFull
from omnitron.store.migrations import STEPS
from omnitron.store.records import Claim, Desired, Secret
from omnitron.store.store import Store, open_store


def record(app: str = "market", **fields: object) -> Desired:
    spec = AppSpec(
        app=app, stack="dev", version="1", cwd="/", python=sys.executable,
        processes=(ProcessSpec(process=Process(name="web", command=("true",)), env={"A": "x" * 100}),),
    )  # fmt: skip
    return Desired(spec=spec, **fields)  # type: ignore[arg-type]


def opened(path: Path) -> Store:
    return open_store(path / "store.db", SystemClock())


def event(seq: int, subject: str = "market", time: float = 1.0) -> Event:
    return Event(
        seq=seq, time=time, stack="dev", subject=subject, kind="replica.ready", reason=f"n{seq}", data={"n": seq}
    )


def test_what_is_saved_is_there_after_reopening(tmp_path: Path) -> None:
    store = opened(tmp_path)
    down = record("ledger", want=Want.DOWN, depends_on=("market",))
    claim, secret = Claim(3003, "dev", "market/http/http"), Secret("dev", "infra/postgres", "{}")
    store.save(put=[record(), down], claims=[claim], secrets=[secret])
    store.close()
    store = opened(tmp_path)
    assert store.desired() == [down, record()]
    assert store.claims() == [claim]
    assert store.secrets() == [secret]
    assert store.moved is None
    store.close()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.save(put=[record()], secrets=[Secret("dev", "a", "b")])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    store.close()
    assert set(modes.values()) == {0o600}, modes


def test_claims_of_an_app_are_replaced_as_a_whole_and_may_be_swapped(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.save(put=[record()], claims=[Claim(1, "dev", "market/a/http"), Claim(2, "dev", "market/b/http")])
    store.save(put=[record("markets")], claims=[Claim(9, "dev", "markets/a/http")])
    store.save(put=[record()])
    swapped = [Claim(1, "dev", "market/b/http"), Claim(2, "dev", "market/a/http")]
    store.save(put=[record()], claims=swapped)
    assert store.claims() == [*swapped, Claim(9, "dev", "markets/a/http")]
    store.save(forget=[("dev", "market")])
    assert store.claims() == [Claim(9, "dev", "markets/a/http")]
    store.close()


def test_a_claim_taken_over_from_another_app_is_no_longer_that_ones(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.save(put=[record("old")], claims=[Claim(80, "dev", "old/http/http")])
    store.save(put=[record("new")], claims=[Claim(80, "dev", "new/http/http")])
    assert store.claims() == [Claim(80, "dev", "new/http/http")]
    store.close()


def test_a_full_disk_is_named_and_changes_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.save(put=[record()])
    pages = store._query("PRAGMA page_count")[0][0]
    store._query(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreFull) as caught:
        store.save(put=[record(f"app-{n}") for n in range(500)], forget=[("dev", "market")])
    assert caught.value.remedy
    assert store.desired() == [record()]
    store._query("PRAGMA max_page_count=100000")
    store.save(put=[record("later")])
    assert len(store.desired()) == 2
    store.close()


@pytest.mark.parametrize("damage", ["header", "middle", "text"])
def test_a_damaged_file_is_moved_aside_and_secrets_survive(tmp_path: Path, damage: str) -> None:
    store = opened(tmp_path)
    store.save(put=[record(f"app-{n}") for n in range(200)], secrets=[Secret("dev", "infra/postgres", "pw")])
    store.close()
    path = tmp_path / "store.db"
    data = bytearray(path.read_bytes())
    spoiled = slice(0, 60) if damage == "header" else slice(4096, len(data) - 4096)
    data[spoiled] = b"\xa5" * len(data[spoiled])
    path.write_bytes(b"this is no database at all" * 300 if damage == "text" else bytes(data))
    store = opened(tmp_path)
    assert store.moved is not None and store.moved.name.startswith("store.db.corrupt-")
    assert store.moved.exists()
    assert store.desired() == []
    assert store.secrets() == [Secret("dev", "infra/postgres", "pw")]
    store.close()


def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute(f"PRAGMA user_version={len(STEPS) + 1}")
    connection.close()
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(Refused, match="schema"):
        opened(tmp_path)
    assert (tmp_path / "store.db").read_bytes() == before


def test_a_folder_that_is_not_there_is_an_explained_error(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="can not be used"):
        open_store(tmp_path / "missing" / "store.db", SystemClock())


def test_a_broken_mirror_of_the_secrets_does_not_stop_the_recovery(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(os.urandom(8192))
    (tmp_path / "secrets.json").write_text("{")
    store = opened(tmp_path)
    assert store.moved is not None and store.secrets() == []
    store.close()


def test_history_gives_the_newest_in_order_and_goes_on_after_a_number(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for seq in range(1, 6):
        store.history.add(event(seq), "market")
    assert [e.reason for e in store.history.latest(2)] == ["n4", "n5"]
    first = store.history.latest(5)[0]
    assert [e.reason for e in store.history.after(first.seq, 2)] == ["n2", "n3"]
    assert store.history.newest("dev", "market") == (5, 1.0)
    assert store.history.newest("dev", "other") == (0, 0.0)
    assert first.data == {"n": 1}
    store.close()


def test_history_is_filtered_by_subject_without_confusing_prefixes(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for seq, subject in enumerate(["market", "market/http", "market/http/0", "market/https", "markets"]):
        store.history.add(event(seq, subject), "x")

    def found(*subjects: str) -> list[str]:
        return [e.subject for e in store.history.latest(10, "dev", subjects)]

    assert found("market", "market/") == ["market", "market/http", "market/http/0", "market/https"]
    assert found("market/http", "market/http/") == ["market/http", "market/http/0"]
    assert found() == ["market", "market/http", "market/http/0", "market/https", "markets"]
    assert store.history.latest(10, "prod") == []
    store.close()


def test_history_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_EVENTS", 50)
    monkeypatch.setattr(history, "PRUNE_EVERY", 10)
    store = opened(tmp_path)
    for seq in range(1, 201):
        store.history.add(event(seq), "market")
    kept = store.history.latest(1000)
    assert len(kept) <= 60 and kept[-1].reason == "n200"
    store.close()
