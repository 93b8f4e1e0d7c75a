"""`why`: sentences with the values in them."""

from typing import Any

import msgspec
from daemon_examples import shown, status

from omnitron.base.names import Target
from omnitron.control.events import Event
from omnitron.control.keeper import AppSpec, AppStatus, ProcessSpec, ReplicaStatus
from omnitron.daemon.decisions.why import subjects, why
from omnitron.model.process import Process
from omnitron.model.state import Want
from omnitron.store.records import Desired

RECORD = Desired(
    spec=AppSpec(
        app="market", stack="dev", version="1", cwd="/", python="p",
        processes=tuple(ProcessSpec(process=Process(name=name, module="m")) for name in ("http", "pool")),
    )
)  # fmt: skip
FAILED = Event(
    seq=1, time=90.0, stack="dev", subject="market/http/0", kind="replica.exited", reason="exit code 1", level="error"
)


def explained(target: str, found: AppStatus | None, *events: Event, record: Desired = RECORD, problem: str = "") -> str:
    return " ".join(why(Target.parse(target), record, found, events, problem, 100.0))


def replica(phase: str, detail: str, **fields: Any) -> ReplicaStatus:
    return ReplicaStatus(replica="market/http/0", phase=phase, ready=False, detail=detail, since=99.6, **fields)


def test_a_replica_in_backoff_says_why_how_often_and_since_when() -> None:
    found = status("market", shown("http", "starting", replica("backoff", "exit code 1, next in 0.4s", restarts=3)))
    text = explained("market/http/0", found, FAILED)
    assert "market/http/0 is in backoff for 400ms: exit code 1, next in 0.4s; restart 3 of 5 within 30s." in text
    assert "Last trouble, 10s ago: market/http/0 replica.exited: exit code 1." in text


def test_an_app_is_summed_up_and_only_what_is_not_ready_is_explained() -> None:
    ready = ReplicaStatus(replica="market/pool/0", phase="running", ready=True, detail="ready after 3ms")
    found = status(
        "market",
        shown("http", "failed", replica("given_up", "exit code 1")),
        shown("pool", "ready", ready),
        state="failed",
    )
    text = explained("market", found)
    assert text.startswith("market is failed: http failed, pool ready.")
    assert "market/http/0 is given up" in text and "market/pool/0" not in text


def test_what_was_asked_for_is_a_reason() -> None:
    down = msgspec.structs.replace(RECORD, want=Want.DOWN)
    assert "asked" in explained("market", None, record=down)
    assert "market/http is stopped because it was asked" in explained(
        "market/http", status("market", shown("http", "stopped", want="down"))
    )


def test_a_silent_keeper_is_named_with_the_problem() -> None:
    assert "its keeper does not answer: no space left" in explained("market", None, problem="no space left")


def test_a_refused_reload_is_told() -> None:
    process = msgspec.structs.replace(RECORD.spec.processes[0], fingerprint="new")
    record = msgspec.structs.replace(RECORD, spec=msgspec.structs.replace(RECORD.spec, processes=(process,)))
    found = status("market", shown("http", "ready", refused="new", reload="ImportError", fingerprint="old"))
    assert "still runs the code from before" in explained("market/http", found, record=record)


def test_a_target_covers_the_events_of_what_is_below_it() -> None:
    assert subjects(Target.parse("market")) == ("market", "market/")
    assert subjects(Target.parse("market/http")) == ("market/http", "market/http/")
    assert subjects(Target.parse("market/http/0")) == ("market/http/0",)
