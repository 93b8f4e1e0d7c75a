"""What a keeper's status means for who waits: ready, failed, or still on the way."""

from typing import Any

import msgspec
from daemon_examples import shown, status

from omnitron.control.daemon import Progress
from omnitron.control.keeper import AppSpec, ProcessSpec, ReplicaStatus
from omnitron.daemon.decisions.progress import look_again, ready_timeout, settled, steps, stopping
from omnitron.daemon.decisions.status import overall, without_keeper
from omnitron.model.process import Process
from omnitron.model.scaling import Scaling
from omnitron.model.state import Want
from omnitron.store.records import Desired

FINGERPRINT = "a.b"
NOW = 1000.0


def spec(**fields: Any) -> AppSpec:
    of = ProcessSpec(process=Process(name="http", module="m"), fingerprint=FINGERPRINT)
    return AppSpec(
        app="market", stack="dev", version="1", cwd="/", python="p", processes=(msgspec.structs.replace(of, **fields),)
    )


def replica(slot: int, phase: str, detail: str = "", **fields: Any) -> ReplicaStatus:
    return ReplicaStatus(replica=f"market/http/{slot}", phase=phase, ready=phase == "running", detail=detail, **fields)


def one(of: AppSpec, *processes: Any, state: str = "ready", refused: dict[str, str] | None = None) -> Progress:
    return steps(of, status("market", *processes, state=state), refused or {}, NOW)[0]


def http(state: str, *replicas: ReplicaStatus, **fields: Any) -> Any:
    return shown("http", state, *replicas, **{"fingerprint": FINGERPRINT, **fields})


def test_a_ready_process_is_done() -> None:
    assert one(spec(), http("ready", replica(0, "running"))) == Progress(
        subject="market/http", state="ready", done=True
    )


def test_a_process_the_keeper_does_not_know_yet_is_waited_for() -> None:
    assert not settled(steps(spec(), status("market"), {}, NOW))
    assert not settled(steps(spec(), None, {}, NOW))
    assert not one(spec(), http("stopped", want="down")).done


def test_a_starting_process_says_what_it_does() -> None:
    step = one(spec(), http("starting", replica(0, "starting", "importing market.api")))
    assert not step.done and "importing market.api" in step.detail


def test_a_given_up_process_has_failed_with_the_reason_of_its_replica() -> None:
    step = one(spec(), http("failed", replica(0, "given_up", "exit code 1, 6 times within 30s")))
    assert step.done and step.failed and "exit code 1" in step.detail


def test_one_stuck_replica_fails_the_process_only_when_no_other_is_on_its_way() -> None:
    stuck, moving = replica(0, "given_up", "exit code 1"), replica(1, "backoff")
    assert not one(spec(count=2), http("degraded", stuck, moving)).done
    assert one(spec(count=2), http("degraded", stuck, replica(1, "running"))).failed


def test_a_program_without_a_probe_is_believed_to_be_up_after_a_moment_longer_if_it_has_ended_before() -> None:
    program = spec(process=Process(name="http", command=("serve",)))

    def running(age: float, **fields: Any) -> Any:
        return http("ready", replica(0, "running", since=NOW - age, **fields))

    assert not one(program, running(0.001)).done and one(program, running(0.5)).done
    assert not one(program, running(0.5, restarts=1)).done and one(program, running(2, restarts=1)).done
    assert 0.4 < look_again(program, status("market", running(0.5, restarts=1)), NOW) < 0.6
    assert one(spec(), running(0.001)).done and look_again(spec(), status("market", running(0.001)), NOW) == 0


def test_an_app_that_failed_as_a_whole_fails_its_stopped_processes() -> None:
    gone = http("stopped", replica(0, "stopped", "the app failed: pool is critical"), want="down")
    step = one(spec(), gone, state="failed")
    assert step.failed and "pool is critical" in step.detail


def test_replicas_of_the_old_fingerprint_are_not_what_was_asked_for() -> None:
    step = one(spec(), http("ready", replica(0, "running"), fingerprint="old"))
    assert step.state == "reloading" and not step.done


def test_a_refused_reload_fails_with_its_reason_at_once_and_when_asked_again() -> None:
    old = http("ready", replica(0, "running"), fingerprint="old")
    assert one(spec(), old, refused={"http": "ImportError: x"}).detail == "ImportError: x"
    again = http("ready", replica(0, "running"), fingerprint="old", refused=FINGERPRINT, reload="not ready in 60s")
    assert one(spec(), again).failed and one(spec(), again).detail == "not ready in 60s"


def test_a_count_not_reached_yet_is_waited_for_unless_it_is_automatic() -> None:
    assert one(spec(count=3), http("ready", replica(0, "running"))).state == "scaling"
    automatic = Process(name="http", module="m", scaling=Scaling(strategy="auto", max_instances=4))
    assert one(spec(process=automatic, count=3), http("ready", replica(0, "running"))).done


def test_a_process_that_completed_is_done() -> None:
    assert one(spec(), http("stopped", replica(0, "stopped"))).done


def test_a_process_to_be_stopped_is_done_when_it_is() -> None:
    assert not one(spec(want="down"), http("stopping", replica(0, "draining"), want="down")).done
    assert one(spec(want="down"), http("stopped", want="down")).done


def test_a_process_no_longer_declared_is_waited_for_until_it_is_gone() -> None:
    both = steps(spec(), status("market", http("ready", replica(0, "running")), shown("old", "stopping")), {}, NOW)
    assert [(s.subject, s.done) for s in both] == [("market/http", True), ("market/old", False)]


def test_the_time_to_get_ready_is_that_of_all_processes_in_a_row() -> None:
    assert ready_timeout(spec()) == 90.0
    assert ready_timeout(spec(want="down")) == 30.0


def test_what_still_runs_is_told_while_stopping() -> None:
    told = stopping(status("market", http("stopping", replica(0, "draining", "3 calls")), shown("done", "stopped")))
    assert [(s.subject, s.detail) for s in told] == [("market/http", "market/http/0 draining: 3 calls")]


def test_a_stack_is_as_bad_as_its_worst_app() -> None:
    assert overall(["ready", "failed", "starting"]) == "failed"
    assert overall(["ready", "stopped"]) == "ready"
    assert overall(["stopped", "stopped"]) == "stopped"


def test_an_app_without_a_keeper_is_shown_by_what_was_asked_of_it() -> None:
    record = Desired(spec=spec())
    assert without_keeper(record, "").state == "starting"
    assert without_keeper(record, "it does not start").state == "failed"
    assert without_keeper(msgspec.structs.replace(record, want=Want.DOWN), "").state == "stopped"
