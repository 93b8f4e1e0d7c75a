from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infra_definitions import app, plan, postgres, redis

from omnitron.base.errors import DefinitionError, Refused
from omnitron.base.rand import SeededRand
from omnitron.infra.plan import ServicePlan
from omnitron.infra.ports import allocate
from omnitron.infra.settle import Settled, app_env, settle
from omnitron.model.stack import StackSettings


def nothing_taken(port: int) -> bool:
    return False


def settled(
    service: ServicePlan,
    kept: Settled | None = None,
    *,
    ports: Mapping[int, str] | None = None,
    others: tuple[tuple[ServicePlan, Settled], ...] = (),
) -> Settled:
    return settle(service, kept, ports=ports or {}, others=others, taken=nothing_taken, rand=SeededRand(1))


def test_a_port_is_the_first_that_is_neither_claimed_nor_taken() -> None:
    claims = {5432: "dev/postgres", 5433: "dev/analytics"}
    assert allocate(claims, "staging/postgres", 5432, taken=lambda port: port == 5434) == 5435


def test_a_port_is_kept_although_its_server_listens_there() -> None:
    assert allocate({5440: "dev/postgres"}, "dev/postgres", 5432, taken=lambda _: True) == 5440
    assert allocate({5440: "dev/postgres"}, "dev/postgres", 5432, wanted=5440, taken=lambda _: True) == 5440


def test_declared_ports_and_offsets_are_honoured_exactly() -> None:
    assert allocate({}, "dev/postgres", 5432, offset=10, taken=nothing_taken) == 5442
    assert allocate({}, "dev/postgres", 5432, wanted=6000, offset=1, taken=nothing_taken) == 6001


def test_overlapping_ports_are_refused_naming_both_owners() -> None:
    with pytest.raises(Refused, match="Port 5442 is wanted by staging/postgres and belongs to dev/postgres"):
        allocate({5442: "dev/postgres"}, "staging/postgres", 5432, offset=10, taken=nothing_taken)
    with pytest.raises(Refused, match="another program"):
        allocate({}, "staging/postgres", 5432, offset=10, taken=lambda _: True)


@given(st.sets(st.integers(5432, 5450)), st.sets(st.integers(5432, 5450)))
def test_no_two_owners_ever_get_one_port(claimed: set[int], taken: set[int]) -> None:
    port = allocate({one: f"stack-{one}/postgres" for one in claimed}, "new/postgres", 5432, taken=taken.__contains__)
    assert port not in claimed | taken


def test_what_is_settled_stays_when_an_app_comes_or_goes() -> None:
    first = plan(app("ledger", database=True, redis=True))
    both = plan(app("audit", database=True, redis=True), app("ledger", database=True, redis=True))
    for name in ("postgres", "redis"):
        before = settled(first[name])
        after = settled(both[name], before)
        assert (after.port, after.password) == (before.port, before.password)
        assert after.passwords.items() >= before.passwords.items()
        assert after.indexes.items() >= before.indexes.items()
        assert settled(both[name], after) == after
        assert settled(first[name], after) == after, "who left finds its data again"


def test_urls_are_the_apps_own() -> None:
    plans = plan(app("ledger", database=True, redis=True), app("media", database=True, redis=True))
    services = [(service, settled(service)) for service in plans.values()]
    ledger, media = app_env(services, "ledger"), app_env(services, "media")
    port, passwords = services[0][1].port, services[0][1].passwords
    assert ledger["DATABASE_URL"] == f"postgresql://ledger:{passwords['ledger']}@127.0.0.1:{port}/ledger"
    assert ledger["REDIS_URL"].endswith("@127.0.0.1:6379/0") and media["REDIS_URL"].endswith("@127.0.0.1:6379/1")
    assert passwords["ledger"] != passwords["media"] and services[0][1].password not in passwords.values()


def test_an_external_url_keeps_its_host_and_options() -> None:
    services = {"postgres": postgres("external", url="postgres://boss:x@db.local:6000?sslmode=require")}
    service = plan(app("ledger", database=True), services=services)["postgres"]
    kept = settled(service)
    url = f"postgresql://dev_ledger:{kept.passwords['ledger']}@db.local:6000/dev_ledger?sslmode=require"
    assert app_env([(service, kept)], "ledger") == {"DATABASE_URL": url}
    assert kept.port is None


def external_redis(stack: str, offset: int | None, *names: str) -> ServicePlan:
    return plan(
        *(app(name, redis=True) for name in names),
        services={"redis": redis("external", url="redis://cache.local")},
        stack=stack,
        settings=StackSettings(redis_db_offset=offset),
    )["redis"]


def test_declared_redis_offsets_that_overlap_are_refused_naming_both_owners() -> None:
    dev = external_redis("dev", 0, "a", "b", "c", "d", "e", "f")
    staging = external_redis("staging", 5, "a")
    with pytest.raises(Refused, match="Redis database 5 is wanted by staging/a and belongs to dev/f"):
        settled(staging, others=((dev, settled(dev)),))


def test_redis_indexes_without_an_offset_avoid_those_of_other_stacks() -> None:
    dev, staging = external_redis("dev", None, "a", "b"), external_redis("staging", None, "a")
    assert settled(staging, others=((dev, settled(dev)),)).indexes == {"a": 2}


def test_a_native_redis_has_room_for_many_apps_and_says_where_it_ends() -> None:
    names = [f"app-{n}" for n in range(20)]
    service = plan(*(app(name, redis=True) for name in names))["redis"]
    assert sorted(settled(service).indexes.values()) == list(range(20))
    with pytest.raises(DefinitionError, match="Redis database 1024"):
        plan(app("a", redis=True), app("b", redis=True), settings=StackSettings(redis_db_offset=1023))
