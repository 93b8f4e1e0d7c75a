"""The machine under any events in any order, also such as no real world would send."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from omnitron.base.names import ReplicaId
from omnitron.model.restart import Restart
from omnitron.model.state import ExitStatus, Phase, Want
from omnitron.supervise import slot as e
from omnitron.supervise.machine import step

STATUS = st.sampled_from([ExitStatus(), ExitStatus(code=0), ExitStatus(code=1), ExitStatus(signal=9)])
FROM_PROCESS = [
    st.builds(lambda: lambda n: e.Spawned(n, 80 + n)),
    st.builds(lambda: lambda n: e.SpawnFailed(n, "no memory")),
    st.builds(lambda: lambda n: e.Booting(n, "importing")),
    st.builds(lambda: lambda n: e.BootFailed(n, "no ledger")),
    st.builds(lambda: e.Ready),
    st.builds(lambda: lambda n: e.NotReady(n, "database is away")),
    st.sampled_from(["liveness", "event_loop"]).map(lambda kind: lambda n: e.ProbeFailed(n, kind, "no answer")),
    st.builds(lambda: e.DrainDone),
    STATUS.map(lambda status: lambda n: e.Exited(n, status)),
    st.builds(lambda: e.GroupEmpty),
]
OTHERS = st.one_of(
    st.builds(e.Start),
    st.builds(e.Stop, drain=st.sampled_from([None, 0.0, 2.0]), force=st.booleans()),
    st.builds(e.Restart, forgive=st.booleans()),
    st.just(e.TimerFired()),
    st.builds(e.Adopted, pid=st.just(99), incarnation=st.integers(1, 9), booted=st.booleans(), ready=st.booleans()),
    st.just(e.FoundDead()),
)
MOVES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.05, 3.0, 20.0, 70.0]), st.one_of(OTHERS, *FROM_PROCESS, *FROM_PROCESS)),
    max_size=40,
)
POLICIES = st.builds(Restart, policy=st.sampled_from(["always", "on_failure", "never"]), intensity=st.integers(0, 3))
# What leaves nothing alive in the slot: only after one of these may it spawn.
CLEAR = (e.GroupEmpty, e.SpawnFailed)


@settings(max_examples=300, deadline=None)
@given(moves=MOVES, policy=POLICIES, critical=st.booleans(), u=st.floats(0, 0.999))
def test_no_order_of_events_leads_to_a_second_life_a_false_address_or_a_dead_end(moves, policy, critical, u):
    slot = e.Slot(id=ReplicaId("app", "p", 0), rules=e.Rules(restart=policy, critical=critical))
    now, published = 0.0, None
    for wait, event in moves:
        now += wait
        event = event(slot.incarnation) if callable(event) else event
        before, (slot, effects) = slot, step(slot, event, now, u)
        for effect in effects:
            if isinstance(effect, e.Spawn):
                assert not before.phase.alive or isinstance(event, CLEAR)
                assert effect.incarnation > before.incarnation
            if isinstance(effect, e.Publish):
                published = effect.incarnation
            if isinstance(effect, e.Withdraw) and effect.incarnation == published:
                published = None
        if not isinstance(event, e.Adopted):  # adoption may tell of an incarnation the slot never heard of
            assert published in (None, slot.incarnation)
            assert slot.ready == (published is not None)
        else:
            published = slot.incarnation if slot.ready else None
        assert not slot.ready or slot.phase is Phase.RUNNING
        assert (slot.due is None) == (slot.phase in (Phase.STOPPED, Phase.RUNNING))
        assert (slot.phase is Phase.STOPPED) <= (slot.want is Want.DOWN)
        assert len(slot.history.starts) <= max(1, policy.intensity) + 1
        assert slot.phase.alive or slot.pid is None
        assert msgspec.json.decode(msgspec.json.encode(slot), type=e.Slot) == slot
