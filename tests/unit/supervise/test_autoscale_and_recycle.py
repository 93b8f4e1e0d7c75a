from omnitron.model.scaling import Recycle, Scaling
from omnitron.supervise.autoscale import Sample, Scale, autoscale
from omnitron.supervise.recycle import Usage, recycle

CONFIG = Scaling(strategy="auto", max_instances=8, target_cpu=50.0, target_queue=4.0, cooldown=60.0)


def scale(cpus, count=None, queued=0.0, now=100.0, changed_at=None, config=CONFIG, least=2):
    samples = [Sample(cpu, queued) for cpu in cpus]
    return autoscale(config, least, samples, now, Scale(len(cpus) if count is None else count, changed_at))


def test_a_busy_pool_grows_at_once_to_what_the_load_needs():
    state, reason = scale([100.0, 100.0])
    assert state == Scale(4, 100.0)
    assert reason == "4 instead of 2 replicas for 200 % CPU at 50 % each"


def test_waiting_calls_count_as_load_too():
    state, reason = scale([1.0, 1.0], queued=10.0)
    assert state.count == 5 and reason == "5 instead of 2 replicas for 20 waiting calls at 4 each"


def test_a_pool_slightly_over_its_target_stays():
    assert scale([55.0, 55.0])[0] == Scale(2)
    assert scale([56.0, 56.0])[0].count == 3


def test_the_pool_stays_between_its_bounds():
    assert scale([100.0] * 6)[0].count == 8
    assert scale([0.0, 0.0])[0].count == 2
    assert scale([0.0], least=2)[0].count == 2
    assert scale([0.0] * 9)[0].count == 8
    assert scale([500.0] * 3, least=3, config=Scaling(strategy="auto", max_instances=1))[0].count == 3


def test_an_idle_pool_shrinks_by_one_per_cooldown():
    assert scale([0.0] * 6)[0] == Scale(5, 100.0)
    state, reason = scale([0.0] * 6, changed_at=40.5)
    assert state == Scale(6, 40.5) and reason.endswith("cooling down for 500ms")
    assert scale([0.0] * 6, changed_at=40.0)[0].count == 5


def test_growing_waits_for_a_quarter_of_the_cooldown():
    assert scale([100.0, 100.0], changed_at=85.5)[0].count == 2
    assert scale([100.0, 100.0], changed_at=85.0)[0].count == 4


def test_a_pool_shrinks_only_if_the_rest_is_clearly_under_the_target():
    assert scale([30.0] * 4)[0].count == 3  # 120 % on three are 40 % each: 0.8 of the target
    assert scale([30.5] * 4)[0].count == 4


def test_a_replica_that_is_still_booting_does_not_make_the_pool_look_idle():
    assert scale([10.0, 10.0], count=4)[0].count == 4


def test_manual_scaling_changes_nothing():
    assert scale([900.0], config=Scaling(max_instances=8)) == (Scale(1), "scaling is manual")


def test_a_replica_is_recycled_at_each_of_its_limits():
    usage = Usage(rss=1000, age=1000.0, calls=1000)
    assert recycle(Recycle(), usage, 0.0) is None
    assert recycle(Recycle(memory=1001, age=1001, calls=1001), usage, 0.0) is None
    assert recycle(Recycle(memory=1000), usage, 0.0).text == "recycled at 1000B resident (limit 1000B)"
    assert recycle(Recycle(age=1000), usage, 0.0).text == "recycled after 16m 40s (limit 16m 40s)"
    assert recycle(Recycle(calls=1000), usage, 0.0).text == "recycled after 1000 calls (limit 1000)"


def test_chance_lowers_the_limits_by_up_to_a_tenth():
    for rules in (Recycle(memory=1000), Recycle(age=1000), Recycle(calls=1000)):
        assert recycle(rules, Usage(951, 951.0, 951), 0.5)
        assert not recycle(rules, Usage(949, 949.0, 949), 0.5)
