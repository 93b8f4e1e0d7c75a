import pytest

from omnitron.base.errors import DefinitionError
from omnitron.model.restart import Backoff, Restart
from omnitron.model.state import ExitStatus, Reason, Want
from omnitron.supervise.decide import (
    Escalate,
    GiveUp,
    History,
    StartAfter,
    StayDown,
    decide,
    recorded,
    to_restart,
)

CRASH = ExitStatus(code=1)
CLEAN = ExitStatus(code=0)
PLAIN = Restart(backoff=Backoff(jitter=0.0))


def fail(policy, history, now=100.0, u=0.0, exit=CRASH, **options):
    decision = decide(policy, history, exit, Want.UP, now, u, **options)
    return decision, recorded(policy, history, decision, now)


def test_the_first_restart_is_immediate_and_the_next_wait_longer_and_longer():
    history, delays = History(), []
    for _ in range(5):
        decision, history = fail(PLAIN, history)
        delays.append(decision.delay)
    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8]


def test_the_reason_carries_the_values():
    decision, _ = fail(PLAIN, History((99.0, 99.5, 99.6), 99.0), exit=ExitStatus(code=1))
    assert decision.reason == Reason("backoff", "exit code 1, restart 4 of 5 within 30s, next in 400ms")
    decision, _ = fail(PLAIN, History(), exit=ExitStatus(signal=9))
    assert decision.reason.text == "killed by SIGKILL, restart 1 of 5 within 30s, next at once"


def test_a_delay_is_capped_and_shortened_by_at_most_the_jitter():
    backoff = Backoff(base=1.0, factor=10.0, cap=7.0, jitter=0.5)
    assert backoff.delay(1, 0.9) == 0.0
    assert backoff.delay(2, 0.0) == 1.0
    assert backoff.delay(2, 0.5) == 0.75
    assert backoff.delay(3, 0.0) == 7.0
    assert backoff.delay(100_000, 0.0) == 7.0
    assert Backoff(first="250ms").delay(1, 0.5) == 0.25


def test_restarts_older_than_the_period_do_not_count():
    starts = (69.0, 70.0, 70.5, 71.0, 72.0)
    decision, history = fail(PLAIN, History(starts, 69.0), now=100.0)
    assert isinstance(decision, StartAfter) and "restart 4 of 5" in decision.reason.text
    assert history == History((70.5, 71.0, 72.0, 100.4), 69.0)


def test_one_restart_more_than_the_intensity_is_given_up_until_a_named_time():
    decision, history = fail(PLAIN, History((90.0,) * 5, 90.0))
    assert decision == GiveUp(
        Reason("given_up", "exit code 1, more restarts than 5 within 30s, given up; one more try in 30s"), 130.0
    )
    assert history == History((*(90.0,) * 5, 130.0), 90.0, True)


def test_what_was_given_up_gets_no_new_burst_until_it_had_a_good_run():
    given_up = History((), 0.0, True)
    decision, again = fail(PLAIN, given_up, now=1000.0)
    assert isinstance(decision, GiveUp) and decision.retry_at == 1030.0 and again.given_up
    assert again.after_run(PLAIN, 970.5, 1000.0) == again
    assert again.after_run(PLAIN, None, 1000.0) == again
    assert again.after_run(PLAIN, 970.0, 1000.0) == History()


def test_tries_after_giving_up_are_never_closer_than_the_period():
    quick = Restart(period=20.0, backoff=Backoff(cap=1.0, jitter=0.5))
    assert quick.slow_delay(0.0) == 20.0
    assert quick.slow_delay(0.5) == 25.0
    assert Restart(period=5.0, backoff=Backoff(cap=60.0)).slow_delay(0.0) == 60.0


def test_a_critical_process_escalates_only_after_failing_for_its_patience():
    burst = (90.0,) * 5
    decision, _ = fail(PLAIN, History(burst, 40.1), critical=True)
    assert isinstance(decision, GiveUp)
    decision, history = fail(PLAIN, History(burst, 40.0), critical=True)
    assert isinstance(decision, Escalate) and decision.retry_at == 130.0 and history.given_up
    assert decision.reason.text == "exit code 1, more restarts than 5 within 30s, failing for 1m 00s and critical"
    assert isinstance(fail(PLAIN, History(burst, 40.0))[0], GiveUp)
    strict = Restart(patience=0, intensity=0)
    assert isinstance(fail(strict, History(), critical=True)[0], Escalate)


@pytest.mark.parametrize(
    ("policy", "exit", "expected"),
    [
        ("always", CLEAN, StartAfter), ("always", CRASH, StartAfter), ("on_failure", CLEAN, StayDown),
        ("on_failure", CRASH, StartAfter), ("on_failure", ExitStatus(signal=15), StartAfter),
        ("on_failure", ExitStatus(), StartAfter), ("never", CLEAN, StayDown), ("never", CRASH, StayDown),
    ],
)  # fmt: skip
def test_each_policy_restarts_its_ends(policy, exit, expected):
    assert isinstance(fail(Restart(policy=policy), History(), exit=exit)[0], expected)


def test_staying_down_says_whether_it_was_a_success():
    assert fail(Restart(policy="never"), History(), exit=CLEAN)[0].reason.code == "completed"
    decision, history = fail(Restart(policy="never"), History())
    assert decision.reason == Reason("failed", "exit code 1, and policy never does not restart")
    assert history == History()


def test_a_critical_process_that_is_never_restarted_escalates_for_good():
    decision, history = fail(Restart(policy="never"), History(), critical=True)
    assert isinstance(decision, Escalate) and decision.retry_at is None and history.starts == ()
    assert isinstance(fail(Restart(policy="never"), History(), exit=CLEAN, critical=True)[0], StayDown)


def test_an_end_we_caused_is_a_failure_whatever_the_exit_code():
    cause = Reason("liveness", "no answer")
    decision, _ = fail(Restart(policy="on_failure"), History(), exit=CLEAN, cause=cause)
    assert isinstance(decision, StartAfter) and decision.reason.text.startswith("no answer; exit code 0, restart 1")
    decision, _ = fail(PLAIN, History(), exit=ExitStatus(), cause=cause)
    assert decision.reason.text.startswith("no answer, restart 1")


def test_what_is_wanted_down_stays_down():
    decision = decide(PLAIN, History(), CRASH, Want.DOWN, 1.0, 0.0)
    assert decision == StayDown(Reason("stopped", "exit code 1"))


def test_a_late_start_counts_from_when_it_begins():
    assert History((1.0, 5.0), 0.5, True).begun(9.0) == History((1.0, 9.0), 0.5, True)


def test_the_run_of_failures_keeps_its_beginning():
    _, history = fail(PLAIN, History(), now=10.0)
    _, history = fail(PLAIN, history, now=20.0)
    assert history == History((10.0, 20.1), 10.0)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("one_for_one", ("b",)), ("one_for_all", ("a", "b", "c")), ("rest_for_one", ("b", "c"))],
)
def test_the_strategy_says_who_restarts_along(strategy, expected):
    assert to_restart(strategy, ("a", "b", "c"), "b") == expected


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Backoff(factor=0.9), lambda: Backoff(jitter=1.0), lambda: Backoff(jitter=-0.1), lambda: Backoff(cap=0),
        lambda: Restart(intensity=-1), lambda: Restart(period=0), lambda: Restart(period="soon"),
    ],
)  # fmt: skip
def test_a_policy_that_can_not_be_used_is_refused(wrong):
    with pytest.raises(DefinitionError):
        wrong()


def test_durations_are_normalised_to_seconds():
    policy = Restart(period="1m", patience="2m", backoff=Backoff(first="10ms", base="0.5s", cap="1h"))
    assert (policy.period, policy.patience, policy.backoff.first) == (60.0, 120.0, 0.01)
    assert (policy.backoff.base, policy.backoff.cap) == (0.5, 3600.0)
    assert Backoff(factor=1, jitter=0).delay(9, 0.5) == 0.1


@pytest.mark.parametrize(
    ("returncode", "text", "known", "success"),
    [
        (0, "exit code 0", True, True), (3, "exit code 3", True, False), (-9, "killed by SIGKILL", True, False),
        (-63, "killed by signal 63", True, False), (None, "exit status unknown (adopted)", False, False),
    ],
)  # fmt: skip
def test_an_exit_status_says_how_it_ended(returncode, text, known, success):
    status = ExitStatus.of(returncode)
    assert (str(status), status.known, status.success) == (text, known, success)
