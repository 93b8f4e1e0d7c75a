from omnitron.supervise.rollout import (
    Abort,
    Begin,
    Finished,
    NewFailed,
    NewReady,
    OldGone,
    Promote,
    Rollout,
    StartNew,
    StopNew,
    StopOld,
    advance,
)


def play(rollout, *events):
    """The rollout after the events, and the actions of the last one."""
    actions = ()
    for event in events:
        rollout, actions = advance(rollout, event)
    return rollout, actions


def test_a_successor_is_ready_before_the_old_one_stops_one_slot_at_a_time():
    rollout, actions = play(Rollout(todo=(0, 1)), Begin())
    assert actions == (StartNew(0),)
    rollout, actions = play(rollout, NewReady(0))
    assert actions == (Promote(0), StopOld(0))
    rollout, actions = play(rollout, OldGone(0))
    assert actions == (StartNew(1),)
    rollout, actions = play(rollout, NewReady(1), OldGone(1))
    assert actions == (Finished(True, "2 of 2 replicas replaced"),)
    assert rollout.verdict == "2 of 2 replicas replaced" and not rollout.failed


def test_surge_bounds_how_many_are_between_old_and_new():
    rollout, actions = play(Rollout(todo=(0, 1, 2), surge=2), Begin())
    assert actions == (StartNew(0), StartNew(1))
    rollout, actions = play(rollout, NewReady(1))
    assert actions == (Promote(1), StopOld(1))
    rollout, actions = play(rollout, OldGone(1))
    assert actions == (StartNew(2),)
    assert advance(Rollout(todo=(0, 1), surge=0), Begin())[1] == (StartNew(0),)


def test_a_singleton_is_gone_before_the_new_one_starts():
    rollout, actions = play(Rollout(todo=(0,), in_place=True), Begin())
    assert actions == (StopOld(0),)
    rollout, actions = play(rollout, OldGone(0))
    assert actions == (StartNew(0),)
    rollout, actions = play(rollout, NewReady(0))
    assert actions == (Finished(True, "1 of 1 replicas replaced"),)


def test_a_failed_successor_ends_the_rollout_and_the_other_successors():
    rollout, _ = play(Rollout(todo=(0, 1, 2, 3), surge=3), Begin(), NewReady(0))
    rollout, actions = play(rollout, NewFailed(1, "not ready within 60s"))
    verdict = "the new replica of slot 1 failed: not ready within 60s; 1 of 4 replicas run the new code"
    assert actions == (StopNew(2), Finished(False, verdict))
    assert rollout.failed and rollout.verdict == verdict and rollout.booting == ()
    after, actions = play(rollout, OldGone(0), NewReady(2), NewFailed(2, "stopped"))
    assert actions == () and after.verdict == verdict and after.done == (0,)


def test_an_abort_says_why_and_how_far_it_came():
    rollout, actions = play(Rollout(todo=(0, 1)), Begin(), NewReady(0), OldGone(0), Abort("scaled"))
    assert actions == (StopNew(1), Finished(False, "scaled; 1 of 2 replicas run the new code"))
    assert play(rollout, Abort("again"))[1] == ()


def test_a_singleton_stopped_for_an_aborted_reload_comes_up_again():
    rollout, actions = play(Rollout(todo=(0,), in_place=True), Begin(), Abort("scaled"))
    assert actions == (Finished(False, "scaled; 0 of 1 replicas run the new code"),)
    rollout, actions = play(rollout, OldGone(0))
    assert actions == (StartNew(0),)
    assert play(rollout, NewReady(0))[1] == ()


def test_a_failed_singleton_is_told_and_left_to_its_restart_policy():
    _, actions = play(Rollout(todo=(0,), in_place=True), Begin(), OldGone(0), NewFailed(0, "exit code 1"))
    failed = "the new replica of slot 0 failed: exit code 1; 0 of 1 replicas run the new code"
    assert actions == (Finished(False, failed),)


def test_events_that_fit_no_progress_are_void():
    rollout, _ = play(Rollout(todo=(0, 1)), Begin())
    for event in (NewReady(1), OldGone(0), NewFailed(1, "x")):
        assert advance(rollout, event) == (rollout, ())


def test_nothing_to_replace_is_done_at_once():
    assert advance(Rollout(todo=()), Begin())[1] == (Finished(True, "0 of 0 replicas replaced"),)
