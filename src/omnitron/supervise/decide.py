"""What to do about a replica that ended: the one place where a restart is decided.

Called by the machine with what is known (policy, history, how it ended, what is wanted, the time and a die already
thrown); answers with what to do and why, in words that carry the values. It does not know processes, timers or
siblings. The one surprise: `History.starts` holds the times at which restarts *begin*, not those at which they were
decided; only so is "at most `intensity` starts in any `period`" true to the letter, whatever the backoff.
"""

import msgspec

from omnitron.base.units import show_seconds
from omnitron.model.restart import Restart, Strategy
from omnitron.model.state import ExitStatus, Reason, Want


class History(msgspec.Struct, frozen=True):
    """Automatic restarts of a replica. Bounded: those within the period, at most max(1, intensity), and a planned one.

    starts: when restarts began or will begin, oldest first. failing_since: the first failure after the last good run,
    that is one of at least `period`. given_up: the intensity was exceeded and there was no good run since.
    """

    starts: tuple[float, ...] = ()
    failing_since: float | None = None
    given_up: bool = False

    def recent(self, policy: Restart, now: float) -> tuple[float, ...]:
        """The starts that still count against the intensity."""
        return tuple(start for start in self.starts if start > now - float(policy.period))

    def begun(self, now: float) -> "History":
        """The latest start, planned for earlier, begins only now (its timer came late)."""
        return History((*self.starts[:-1], now), self.failing_since, self.given_up)

    def after_run(self, policy: Restart, running_since: float | None, now: float) -> "History":
        """Forget everything if the run that has just ended was a good one. running_since: None if it never booted."""
        good = running_since is not None and now - running_since >= float(policy.period)
        return History() if good else self


class StartAfter(msgspec.Struct, frozen=True):
    delay: float
    reason: Reason


class GiveUp(msgspec.Struct, frozen=True):
    """Beyond the intensity; one more try at `retry_at`."""

    reason: Reason
    retry_at: float


class Escalate(msgspec.Struct, frozen=True):
    """The app can not do without it. retry_at: as GiveUp, in case nobody acts on it; None: it stays down."""

    reason: Reason
    retry_at: float | None


class StayDown(msgspec.Struct, frozen=True):
    reason: Reason


Decision = StartAfter | GiveUp | Escalate | StayDown


def decide(
    policy: Restart,
    history: History,
    exit: ExitStatus,
    want: Want,
    now: float,
    u: float,
    *,
    critical: bool = False,
    cause: Reason | None = None,
) -> Decision:
    """What to do about a replica that has ended and whose process group is empty.

    u: chance in [0, 1) for the jitter. cause: why it was ended by us (a probe, a timeout) or could not be started;
    with a cause, even exit code 0 is a failure.
    """
    ended = f"{cause}; {exit}" if cause and exit.known else str(cause or exit)
    if want is Want.DOWN:
        return StayDown(Reason("stopped", ended))
    if policy.policy != "always" and exit.success and cause is None:
        return StayDown(Reason("completed", f"{ended}, and policy {policy.policy} does not restart a success"))
    if policy.policy == "never":
        failed = Reason("failed", f"{ended}, and policy never does not restart")
        return Escalate(failed, None) if critical else StayDown(failed)
    count = len(history.recent(policy, now)) + 1
    bound = f"{policy.intensity} within {show_seconds(float(policy.period))}"
    if count <= policy.intensity and not history.given_up:
        delay = policy.backoff.delay(count, u)
        when = f"next in {show_seconds(delay)}" if delay > 0 else "next at once"
        return StartAfter(delay, Reason("backoff", f"{ended}, restart {count} of {bound}, {when}"))
    return _beyond_intensity(policy, history, f"{ended}, more restarts than {bound}", now, u, critical)


def _beyond_intensity(
    policy: Restart, history: History, why: str, now: float, u: float, critical: bool
) -> GiveUp | Escalate:
    delay = policy.slow_delay(u)
    failing = now - (now if history.failing_since is None else history.failing_since)
    if critical and failing >= float(policy.patience):
        text = f"{why}, failing for {show_seconds(failing)} and critical"
        return Escalate(Reason("escalated", text), now + delay)
    return GiveUp(Reason("given_up", f"{why}, given up; one more try in {show_seconds(delay)}"), now + delay)


def recorded(policy: Restart, history: History, decision: Decision, now: float) -> History:
    """The history after acting on the decision."""
    if isinstance(decision, StayDown):
        return history
    since = now if history.failing_since is None else history.failing_since
    recent = history.recent(policy, now)
    if isinstance(decision, StartAfter):
        return History((*recent, now + decision.delay), since, False)
    starts = recent if decision.retry_at is None else (*recent, decision.retry_at)
    return History(starts, since, True)


def to_restart(strategy: Strategy, ordered: tuple[str, ...], failed: str) -> tuple[str, ...]:
    """The processes that a restart of `failed` restarts, itself included, in start order (stop them in reverse).

    ordered: all processes of the app in start order; in rest_for_one those after `failed` may rest on it.
    """
    if strategy == "one_for_one":
        return (failed,)
    return ordered if strategy == "one_for_all" else ordered[ordered.index(failed) :]
