"""The machine, one move at a time; the simulation in tests/sim plays them together."""

from itertools import product
from signal import SIGKILL, SIGTERM

import pytest

from omnitron.base.names import ReplicaId
from omnitron.model.restart import Backoff, Restart
from omnitron.model.state import ExitStatus, Phase, Reason, Want
from omnitron.supervise import slot as e
from omnitron.supervise.decide import History
from omnitron.supervise.machine import TABLE, step

RULES = e.Rules(
    restart=Restart(intensity=2, patience=0, backoff=Backoff(jitter=0)),
    startup_timeout=60.0,
    drain_timeout=15.0,
    term_timeout=5.0,
)
CRASH = ExitStatus(code=1)


class Played:
    """A slot after some events; each is (event) or (seconds to pass first, event)."""

    def __init__(self, *events, rules=RULES, slot=None):
        self.slot = slot or e.Slot(id=ReplicaId("market", "http", 0), rules=rules)
        self.now, self.effects = 100.0, ()
        self.play(*events)

    def play(self, *events):
        for event in events:
            wait, event = event if isinstance(event, tuple) else (0.0, event)
            self.now += wait
            self.slot, self.effects = step(self.slot, event, self.now, 0.0)
        return self

    @property
    def acts(self):
        """Effects without the telling."""
        return tuple(x for x in self.effects if not isinstance(x, e.Emit))

    @property
    def told(self):
        return [x.reason.code for x in self.effects if isinstance(x, e.Emit)]

    def has(self, **fields):
        for name, value in fields.items():
            assert getattr(self.slot, name) == value, (name, self.slot)
        return self


def change(rules, **fields):
    return type(rules)(**{name: fields.get(name, getattr(rules, name)) for name in rules.__struct_fields__})


BOOT = (e.Start(), e.Spawned(1, 81))
RUN = (*BOOT, (2.0, e.Ready(1)))
DRAIN = (*RUN, e.Stop())
STOPPING = (*DRAIN, e.DrainDone(1))
EXITED = (*RUN, e.Exited(1, CRASH))
AGAIN = (*BOOT, e.Exited(1, CRASH), e.GroupEmpty(1))  # at once: incarnation 2
BACKOFF = (*AGAIN, e.Spawned(2, 82), e.Exited(2, CRASH), e.GroupEmpty(2))
GIVEN_UP = (*BACKOFF, (0.1, e.TimerFired()), e.Spawned(3, 83), e.Exited(3, CRASH), e.GroupEmpty(3))
AT = {
    Phase.STOPPED: (),
    Phase.STARTING: BOOT,
    Phase.RUNNING: RUN,
    Phase.DRAINING: DRAIN,
    Phase.STOPPING: STOPPING,
    Phase.BACKOFF: BACKOFF,
    Phase.GIVEN_UP: GIVEN_UP,
}


@pytest.mark.parametrize("phase", Phase)
def test_the_paths_used_below_lead_to_their_phases(phase):
    assert Played(*AT[phase]).slot.phase is phase
    assert phase.alive == (phase in (Phase.STARTING, Phase.RUNNING, Phase.DRAINING, Phase.STOPPING))


# --- up


def test_a_start_spawns_and_sets_the_startup_deadline():
    world = Played(e.Start())
    assert world.acts == (e.Spawn(1), e.SetTimer(160.0)) and world.told == ["starting"]
    world.has(want=Want.UP, phase=Phase.STARTING, incarnation=1, next_incarnation=2, pid=None, due=160.0)


def test_ready_publishes_and_ends_the_deadline():
    world = Played(*RUN)
    assert world.acts == (e.CancelTimer(), e.Publish(1)) and world.told == ["ready"]
    world.has(phase=Phase.RUNNING, ready=True, due=None, running_since=102.0, pid=81)
    assert world.slot.reason.text == "ready 2s after its start, pid 81"
    assert str(world.slot) == "<Replica market/http/0 running ready pid=81 restarts=0/2>"


def test_ready_may_be_heard_before_the_pid():
    Played(e.Start(), e.Ready(1), e.Spawned(1, 81)).has(phase=Phase.RUNNING, pid=81)


def test_progress_of_the_boot_is_kept_as_the_reason():
    world = Played(*BOOT, e.Booting(1, "warmup 2 of 3"))
    assert world.effects == (e.Emit(Reason("booting", "warmup 2 of 3")),)
    world.has(reason=Reason("booting", "warmup 2 of 3"), phase=Phase.STARTING)


def test_what_a_boot_says_of_its_failure_is_the_reason_of_its_end():
    world = Played(*BOOT, e.BootFailed(1, "no ledger"))
    assert world.told == ["boot_failed"]
    world.play(e.Exited(1, ExitStatus(code=70))).play(e.GroupEmpty(1))
    assert "no ledger; exit code 70, restart 1 of" in world.slot.reason.text


def test_not_ready_withdraws_and_kills_nothing_and_ready_publishes_again():
    world = Played(*RUN, e.NotReady(1, "database is away"))
    assert world.acts == (e.Withdraw(1),) and world.told == ["not_ready"]
    world.has(phase=Phase.RUNNING, ready=False)
    assert world.play(e.NotReady(1, "still")).effects == ()
    assert world.play(e.Ready(1)).acts == (e.Publish(1),)
    assert world.has(ready=True).play(e.Ready(1)).effects == ()


def test_repeating_a_start_changes_nothing_and_cuts_no_backoff_short():
    for phase in (Phase.STARTING, Phase.RUNNING, Phase.BACKOFF, Phase.GIVEN_UP):
        before = Played(*AT[phase]).slot
        world = Played(e.Start(), slot=before)
        assert (world.slot, world.effects) == (before, ())


# --- down


def test_a_stop_withdraws_then_drains_then_terminates_then_kills_then_waits_for_the_group():
    world = Played(*DRAIN)
    assert world.acts == (e.Withdraw(1), e.SendDrain(1, 15.0), e.SetTimer(117.0)) and world.told == ["draining"]
    world.has(want=Want.DOWN, phase=Phase.DRAINING, ready=False)
    assert world.play((15.0, e.TimerFired())).acts == (e.SendSignal(1, SIGTERM), e.SetTimer(122.0))
    world.has(phase=Phase.STOPPING, killed=False)
    assert "not drained within 15s" in world.slot.reason.text
    assert world.play((5.0, e.TimerFired())).acts == (e.SendSignal(1, SIGKILL), e.SetTimer(127.0))
    assert world.slot.reason.code == "term_timeout" and "still lives 5s" in world.slot.reason.text
    assert world.play((5.0, e.TimerFired())).acts == (e.SendSignal(1, SIGKILL), e.SetTimer(132.0))
    assert world.slot.reason.code == "stuck" and "still lives 10s" in world.slot.reason.text
    assert world.play(e.Exited(1, ExitStatus(signal=9))).effects == ()
    assert world.play(e.GroupEmpty(1)).acts == (e.CancelTimer(),)
    world.has(phase=Phase.STOPPED, pid=None, due=None, last_exit=ExitStatus(signal=9))
    assert world.slot.reason.code == "stopped" and world.slot.reason.text.endswith("killed by SIGKILL")


def test_a_drain_that_is_done_goes_on_at_once():
    assert Played(*STOPPING).acts == (e.SendSignal(1, SIGTERM), e.SetTimer(107.0))


def test_a_replica_that_ends_by_itself_when_drained_has_its_group_terminated():
    world = Played(*DRAIN, e.Exited(1, ExitStatus(code=0)))
    assert world.acts == (e.SendSignal(1, SIGTERM), e.SetTimer(107.0))
    world.play(e.GroupEmpty(1)).has(phase=Phase.STOPPED, want=Want.DOWN)
    assert world.slot.reason == Reason("stopped", "asked to stop; exit code 0")


def test_the_first_exit_status_counts():
    world = Played(*DRAIN, e.Exited(1, ExitStatus(code=0)), e.Exited(1, ExitStatus(code=7)))
    world.has(exit=ExitStatus(code=0))


def test_what_can_not_drain_is_terminated_at_once():
    for world in (Played(*RUN, e.Stop(drain=0.0)), Played(*RUN, e.Stop(), rules=change(RULES, drain_timeout=0.0))):
        assert world.acts == (e.Withdraw(1), e.SendSignal(1, SIGTERM), e.SetTimer(107.0))
    assert e.SendDrain(1, 3.0) in Played(*RUN, e.Stop(drain=3.0)).acts


def test_a_boot_is_not_drained():
    assert Played(*BOOT, e.Stop()).acts == (e.SendSignal(1, SIGTERM), e.SetTimer(105.0))


def test_force_kills_at_once_from_every_phase_and_once():
    for phase in (Phase.STARTING, Phase.RUNNING, Phase.DRAINING, Phase.STOPPING):
        world = Played(*AT[phase], e.Stop(force=True))
        assert world.acts[-2:] == (e.SendSignal(1, SIGKILL), e.SetTimer(world.now + 5.0))
        assert world.has(phase=Phase.STOPPING, want=Want.DOWN, killed=True).play(e.Stop(force=True)).effects == ()


def test_a_second_stop_may_shorten_a_drain_and_never_lengthens_it():
    assert Played(*DRAIN, (5.0, e.Stop(drain=60.0))).slot.due == 117.0
    assert Played(*DRAIN, (5.0, e.Stop(drain=1.0))).slot.due == 108.0
    assert Played(*DRAIN, e.Stop(drain=0.0)).slot.phase is Phase.STOPPING
    assert Played(*STOPPING, e.Stop()).effects == ()


def test_a_stop_ends_a_wait_at_once():
    for phase in (Phase.BACKOFF, Phase.GIVEN_UP):
        world = Played(*AT[phase], e.Stop())
        assert world.acts == (e.CancelTimer(),) and world.told == ["stopped"]
        world.has(phase=Phase.STOPPED, want=Want.DOWN, due=None)


def test_a_spawn_that_comes_after_the_stop_is_killed():
    world = Played(e.Start(), e.Stop(), e.Spawned(1, 81))
    assert world.acts == (e.SendSignal(1, SIGKILL),)
    world.has(pid=81, killed=True, phase=Phase.STOPPING)
    assert Played(*STOPPING, e.Spawned(1, 99)).has(pid=81, killed=False).effects == ()
    Played(e.Start(), e.Stop(), e.SpawnFailed(1, "no memory")).has(phase=Phase.STOPPED)


# --- who wins


def test_a_start_during_a_stop_lets_it_end_and_then_starts():
    for phase in (Phase.DRAINING, Phase.STOPPING):
        world = Played(*AT[phase], e.Start())
        assert world.effects == ()
        world.has(phase=phase, want=Want.UP, again=True)
        assert e.Spawn(2) in world.play(e.GroupEmpty(1)).has(phase=Phase.STARTING, again=False, history=History()).acts


def test_a_restart_drains_and_starts_without_counting_as_a_failure():
    world = Played(*RUN, e.Restart())
    assert world.acts == (e.Withdraw(1), e.SendDrain(1, 15.0), e.SetTimer(117.0))
    world.play(e.DrainDone(1), e.Exited(1, ExitStatus(code=0)), e.GroupEmpty(1))
    assert world.acts == (e.Spawn(2), e.SetTimer(world.now + 60.0))
    world.has(want=Want.UP, restarts=0, history=History(), exit=None, killed=False, pid=None)
    assert e.SendDrain(1, 3.0) in Played(*RUN, e.Restart(drain=3.0)).acts


def test_a_restart_of_a_boot_ends_it_and_begins_anew():
    world = Played(*BOOT, e.Restart())
    assert world.acts == (e.SendSignal(1, SIGTERM), e.SetTimer(105.0))
    assert e.Spawn(2) in world.play(e.GroupEmpty(1)).acts


def test_a_stop_cancels_a_restart():
    for more in ((), (e.DrainDone(1),)):
        world = Played(*RUN, e.Restart(), *more, e.Stop(), e.DrainDone(1), e.GroupEmpty(1))
        world.has(phase=Phase.STOPPED, want=Want.DOWN)


def test_a_restart_is_void_for_what_is_not_wanted_up():
    for phase in (Phase.STOPPED, Phase.DRAINING, Phase.STOPPING):
        before = Played(*AT[phase]).slot
        assert Played(e.Restart(), slot=before).slot == before


def test_a_restart_during_the_end_of_a_crash_starts_uncounted():
    world = Played(*EXITED, e.Restart(), e.GroupEmpty(1))
    world.has(phase=Phase.STARTING, restarts=0)
    assert e.Spawn(2) in world.acts


def test_the_operators_restart_ends_a_wait_and_forgives_and_a_siblings_does_not():
    for phase in (Phase.BACKOFF, Phase.GIVEN_UP):
        world = Played(*AT[phase], e.Restart())
        assert isinstance(world.acts[0], e.Spawn)
        world.has(phase=Phase.STARTING, history=History())
        before = Played(*AT[phase]).slot
        assert Played(e.Restart(forgive=False), slot=before).slot == before
    kept = Played(*AGAIN, e.Restart(forgive=False)).slot.history
    assert kept.starts == (100.0,)
    assert Played(*AGAIN, e.Restart()).slot.history == History()


# --- failures


def test_a_crash_withdraws_sweeps_the_group_and_starts_again_at_once():
    world = Played(*EXITED)
    assert world.acts == (e.Withdraw(1), e.SendSignal(1, SIGKILL), e.SetTimer(107.0)) and world.told == ["exited"]
    world.has(phase=Phase.STOPPING, ready=False, exit=CRASH, reason=Reason("exited", "exit code 1"))
    world.play(e.GroupEmpty(1))
    assert world.acts == (e.Spawn(2), e.SetTimer(162.0)) and world.told == ["backoff"]
    assert world.slot.reason.text == "exit code 1, restart 1 of 2 within 30s, next at once"
    world.has(restarts=1, last_exit=CRASH, exit=None, running_since=None)


def test_the_second_restart_waits_and_the_third_failure_is_given_up_in_the_open():
    world = Played(*BACKOFF)
    assert world.acts == (e.SetTimer(100.1),) and world.told == ["backoff"]
    world.has(phase=Phase.BACKOFF, due=100.1, pid=None)
    world = Played(*GIVEN_UP)
    assert world.acts == (e.SetTimer(130.1),) and world.told == ["given_up"]
    world.has(phase=Phase.GIVEN_UP, due=130.1, want=Want.UP, restarts=3)
    assert e.Spawn(4) in world.play((30.0, e.TimerFired())).acts


def test_a_start_out_of_backoff_counts_from_when_it_begins():
    assert Played(*BACKOFF, (3.0, e.TimerFired())).slot.history.starts == (100.0, 103.0)


def test_a_good_run_makes_failures_forgotten():
    def crash_after(seconds):
        return Played(*GIVEN_UP, (30, e.TimerFired()), e.Ready(4), (seconds, e.Exited(4, CRASH)), e.GroupEmpty(4))

    crash_after(29.9).has(phase=Phase.GIVEN_UP)
    crash_after(30.0).has(phase=Phase.STARTING)


def test_a_critical_process_escalates_and_keeps_trying_slowly():
    world = Played(*GIVEN_UP, rules=change(RULES, critical=True))
    assert isinstance(world.acts[-1], e.EscalateToApp) and world.acts[0] == e.SetTimer(130.1)
    world.has(phase=Phase.GIVEN_UP, want=Want.UP)


def test_what_is_never_restarted_stays_down_and_escalates_only_if_critical():
    never = change(RULES, restart=Restart(policy="never"))
    world = Played(*EXITED, e.GroupEmpty(1), rules=never)
    assert world.acts == (e.CancelTimer(),) and world.told == ["failed"]
    world.has(phase=Phase.STOPPED, want=Want.DOWN, due=None)
    world = Played(*EXITED, e.GroupEmpty(1), rules=change(never, critical=True))
    assert world.acts == (e.CancelTimer(), e.EscalateToApp(world.slot.reason))
    world.has(phase=Phase.STOPPED, want=Want.DOWN)


def test_a_failed_spawn_is_decided_like_a_crash():
    world = Played(e.Start(), e.SpawnFailed(1, "no such program"))
    assert world.slot.reason.text.startswith("no such program, restart 1 of 2")
    assert e.Spawn(2) in world.acts


def test_each_probe_has_its_own_reason_and_way():
    world = Played(*RUN, e.ProbeFailed(1, "liveness", "3 bad answers"))
    assert world.acts == (e.Withdraw(1), e.SendSignal(1, SIGTERM), e.SetTimer(107.0))
    world.play(e.Exited(1, ExitStatus(code=0)), e.GroupEmpty(1))
    assert world.slot.reason.text.startswith("3 bad answers; exit code 0, restart 1 of 2")
    world = Played(*RUN, e.ProbeFailed(1, "event_loop", "blocked for 15s"))
    assert world.acts == (e.Withdraw(1), e.SendSignal(1, SIGKILL), e.SetTimer(107.0))
    world.has(reason=Reason("event_loop", "blocked for 15s"), cause=Reason("event_loop", "blocked for 15s"))


def test_not_ready_within_the_startup_timeout_says_what_it_was_doing():
    world = Played(*BOOT, e.Booting(1, "warmup 1 of 3"), (60.0, e.TimerFired()))
    assert world.acts == (e.SendSignal(1, SIGTERM), e.SetTimer(165.0))
    assert world.slot.reason.text == "not ready within startup_timeout 1m 00s; last: warmup 1 of 3"
    world.play(e.Exited(1, ExitStatus(signal=15)), e.GroupEmpty(1)).has(restarts=1)
    assert "killed by SIGTERM" in world.slot.reason.text


def test_a_group_found_empty_without_an_exit_is_an_unknown_end():
    world = Played(*RUN, e.GroupEmpty(1))
    assert world.acts[0] == e.Withdraw(1) and "exit status unknown (adopted), restart 1" in world.slot.reason.text
    world.has(last_exit=ExitStatus(), ready=False)


# --- timers


def test_a_timer_that_is_early_is_set_again_and_one_with_nothing_due_is_void():
    assert Played(*BOOT, (59.9, e.TimerFired())).has(phase=Phase.STARTING).effects == (e.SetTimer(160.0),)
    assert Played(*RUN, (999.0, e.TimerFired())).effects == ()
    assert Played(e.TimerFired()).effects == ()


def test_events_of_another_incarnation_are_void():
    before = Played(*AGAIN, e.Spawned(2, 82), e.Ready(2)).slot
    for event in (e.Exited(1, CRASH), e.GroupEmpty(1), e.NotReady(1, ""), e.DrainDone(1), e.Ready(3)):
        assert Played(event, slot=before).slot == before


def test_what_the_table_does_not_list_changes_nothing():
    samples = [e.Start(), e.Spawned(1, 1), e.SpawnFailed(1, ""), e.Booting(1, ""), e.Ready(1), e.NotReady(1, ""),
               e.BootFailed(1, ""), e.ProbeFailed(1, "liveness", ""), e.DrainDone(1), e.Exited(1, CRASH),
               e.GroupEmpty(1), e.TimerFired(), e.FoundDead(), e.Stop(), e.Restart()]  # fmt: skip
    for phase, event in product(Phase, samples):
        before = Played(*AT[phase]).slot
        if (phase, type(event)) not in TABLE:
            assert step(before, event, 1000.0, 0.0) == (before, ())


# --- adoption


def test_a_replica_found_alive_is_published_as_it_is():
    world = Played(e.Adopted(81, 1, True, True), slot=Played(*RUN).slot)
    assert world.acts == (e.CancelTimer(), e.Publish(1)) and world.told == ["adopted"]
    world.has(phase=Phase.RUNNING, ready=True, pid=81, running_since=102.0, due=None)
    world = Played(e.Adopted(81, 1, True, False), slot=Played(*RUN).slot)
    assert world.acts == (e.CancelTimer(), e.Withdraw(1))
    world.has(phase=Phase.RUNNING, ready=False)


def test_a_replica_found_booting_gets_its_startup_timeout_anew():
    world = Played((5.0, e.Adopted(81, 1, False, False)), slot=Played(*BOOT).slot)
    assert world.acts == (e.Withdraw(1), e.SetTimer(165.0))
    world.has(phase=Phase.STARTING, ready=False, due=165.0, running_since=None)
    assert e.Publish(1) in world.play(e.Ready(1)).acts


def test_a_drain_under_way_goes_on_for_the_rest_of_its_time():
    world = Played((2.0, e.Adopted(81, 1, True, False)), slot=Played(*DRAIN).slot)  # drains from 102 to 117
    assert world.acts == (e.Withdraw(1), e.SendDrain(1, 15.0), e.SetTimer(117.0))
    world = Played((99.0, e.Adopted(81, 1, True, False)), slot=Played(*DRAIN).slot)
    assert world.acts[:2] == (e.Withdraw(1), e.SendSignal(1, SIGTERM))


def test_what_is_being_stopped_or_not_wanted_is_terminated_when_found_alive():
    for phase in (Phase.STOPPING, Phase.STOPPED):
        world = Played(e.Adopted(81, 1, True, True), slot=Played(*AT[phase]).slot)
        assert world.acts == (e.Withdraw(1), e.SendSignal(1, SIGTERM), e.SetTimer(105.0))
        world.has(phase=Phase.STOPPING, ready=False)
    crashed = Played(*EXITED).slot
    Played(e.Adopted(81, 1, True, True), slot=crashed).has(phase=Phase.STOPPING, want=Want.UP, exit=None, killed=False)


def test_a_wait_is_over_if_the_replica_turns_out_to_live():
    world = Played(e.Adopted(99, 7, True, True), slot=Played(*BACKOFF).slot)
    world.has(phase=Phase.RUNNING, incarnation=7, next_incarnation=8, running_since=100.0, due=None)
    Played(e.Adopted(99, 1, True, True), slot=Played(*BACKOFF).slot).has(next_incarnation=3)
    Played((9.0, e.Adopted(99, 7, True, True)), slot=Played(*RUN).slot).has(incarnation=7, running_since=109.0)


def test_a_replica_found_dead_is_swept_and_decided():
    for phase in (Phase.STARTING, Phase.RUNNING):
        world = Played(e.FoundDead(), slot=Played(*AT[phase]).slot)
        assert world.acts[0] == e.Withdraw(1) and e.SendSignal(1, SIGKILL) in world.acts
        assert world.told == ["exited"]
        world.play(e.GroupEmpty(1)).has(phase=Phase.STARTING, restarts=1)
        assert "exit status unknown (adopted), restart 1" in world.slot.reason.text
    Played(e.FoundDead(), e.GroupEmpty(1), slot=Played(*DRAIN).slot).has(phase=Phase.STOPPED)
    assert "exit code 1; found dead" in Played(e.FoundDead(), slot=Played(*EXITED).slot).slot.reason.text


def test_a_new_keeper_waits_on_for_the_next_try():
    for phase in (Phase.BACKOFF, Phase.GIVEN_UP):
        before = Played(*AT[phase]).slot
        world = Played(e.FoundDead(), slot=before)
        assert (world.slot, world.effects) == (before, (e.SetTimer(before.due),))


# --- successors of a reload


def trial():
    old, successor = e.successor_of(Played(*RUN).slot, RULES)
    return old, Played(e.Start(), slot=successor)


def test_a_successor_shares_the_sequence_of_incarnations():
    old, new = trial()
    assert (old.incarnation, old.next_incarnation, new.slot.incarnation) == (1, 3, 2)
    new.play(e.Ready(2)).has(trial=False)
    assert e.promoted(old, new.slot).next_incarnation == 3
    busy = Played(e.Exited(1, CRASH), e.GroupEmpty(1), slot=old).has(incarnation=3, restarts=1).slot
    promoted = e.promoted(busy, new.slot)
    assert (promoted.incarnation, promoted.next_incarnation, promoted.restarts) == (2, 4, 1)


def test_a_successor_that_fails_is_rejected_and_not_tried_again():
    _, new = trial()
    new.play(e.Spawned(2, 82), e.Exited(2, CRASH), e.GroupEmpty(2)).has(phase=Phase.STOPPED, want=Want.DOWN)
    assert new.slot.reason == Reason("rejected", "exit code 1") and new.acts == (e.CancelTimer(),)
    _, new = trial()
    new.play((60.0, e.TimerFired()), e.GroupEmpty(2))
    assert new.slot.reason.code == "rejected" and "not ready within startup_timeout" in new.slot.reason.text
    _, new = trial()
    assert new.play(e.Stop(), e.GroupEmpty(2)).slot.reason.code == "stopped"


def test_a_successor_that_was_ready_is_restarted_like_any_other():
    _, new = trial()
    new.play(e.Spawned(2, 82), e.Ready(2), e.Exited(2, CRASH), e.GroupEmpty(2)).has(phase=Phase.STARTING, restarts=1)
