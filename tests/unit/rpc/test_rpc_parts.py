"""The gate, the directory, and the choice of versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnitron.base.errors import Overloaded, ServiceNotFound
from omnitron.rpc.admission import MOST_RETRY_S, Gate
from omnitron.rpc.endpoints import Directory, Endpoint, ServiceRecord, Wanted
from omnitron.rpc.versions import best_version, compatible, version_key


@given(st.integers(1, 4), st.integers(0, 4), st.lists(st.sampled_from(["enter", "leave", "give_up"]), max_size=60))
def test_a_gate_never_lets_more_in_than_its_limit_and_loses_nobody(limit, queue_limit, steps):
    gate: Gate[int] = Gate("It", limit, queue_limit)
    inside, waiting, number = set(), [], 0
    for step in steps:
        if step == "enter":
            number += 1
            try:
                (inside.add if gate.enter(number) else waiting.append)(number)
            except Overloaded as error:
                assert len(inside) == limit and len(waiting) == queue_limit
                assert 0 < error.retry_after_s <= MOST_RETRY_S
        elif step == "leave" and inside:
            inside.pop()
            if (successor := gate.leave(0.1)) is not None:
                assert successor == waiting.pop(0)
                inside.add(successor)
        elif step == "give_up" and waiting:
            assert gate.give_up(waiting.pop())
        assert gate.running == len(inside) <= limit
        assert list(gate.waiting) == waiting


def test_retry_after_follows_what_calls_take():
    gate: Gate[int] = Gate("It", 1, 0)
    gate.enter(1)
    for _ in range(100):
        gate.leave(2.0)
        gate.enter(1)
    with pytest.raises(Overloaded) as refused:
        gate.enter(2)
    assert 1.9 < refused.value.retry_after_s < 2.1


def test_the_best_version_is_the_same_or_the_newest_compatible():
    offered = ["1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "2.0.0", "0.3.1", "0.4.0"]
    assert best_version("1.2.0", offered) == "1.2.0"
    assert best_version("1.1.0", offered) == "1.10.0"
    assert best_version("2", offered) == "2.0.0"
    assert best_version("0.3.0", offered) == "0.3.1"
    assert best_version("3.0.0", offered) is None
    assert best_version("", offered) == "2.0.0"
    assert not compatible("0.3.0", "0.4.0")
    assert version_key("2.0.0-rc.1") < version_key("2.0.0")


def record(app, service, version, cls, *slots):
    return ServiceRecord(app, service, version, cls, tuple(Endpoint(f"{app}/p/{s}", f"/{app}.{s}") for s in slots))


def find(directory, text):
    return [endpoint.replica for endpoint in directory.find(Wanted.parse(text))]


def test_services_are_found_by_name_class_app_and_version():
    directory = Directory("shop")
    directory.update(
        [
            record("market", "ohlcv", "1.0.0", "Ohlcv", 0, 1),
            record("market", "ohlcv", "1.1.0", "Ohlcv", 1, 2),
            record("market", "price", "1.0.0", "Price", 3),
            record("market", "price", "2.0.0", "Price", 4),
            record("shop", "users", "1.0.0", "Users", 0),
            record("market", "users", "1.0.0", "Users", 5),
            record("a", "log", "1.0.0", "Log", 0),
            record("b", "log", "1.0.0", "Log", 0),
        ]
    )
    assert find(directory, "ohlcv") == find(directory, "market/Ohlcv@1") == [f"market/p/{n}" for n in (0, 1, 2)]
    assert find(directory, "price@2") == ["market/p/4"]
    assert find(directory, "users") == ["shop/p/0"]
    assert find(directory, "market/users") == ["market/p/5"]
    assert find(directory, "nothing") == find(directory, "price@3.0.0") == []
    with pytest.raises(ServiceNotFound, match=r"1\.0\.0, 2\.0\.0"):
        find(directory, "price")
    with pytest.raises(ServiceNotFound, match="apps a, b"):
        find(directory, "log")
    assert "Did you mean 'ohlcv'" in directory.explain(Wanted.parse("ohlc"))
    assert "price@2.0.0" in directory.explain(Wanted.parse("price@3"))


def test_listeners_hear_of_updates_until_they_stop():
    directory, heard = Directory(), []
    stop = directory.on_change(lambda: heard.append(1))
    directory.update([])
    stop()
    directory.update([])
    assert heard == [1]
