"""From a description to what is stored: ports, environments, order, and the plan in words."""

import msgspec
import pytest
from daemon_examples import World, describe, facts, process, said, shown, status, system

from omnitron.base.errors import Refused
from omnitron.control.keeper import EndpointInfo, ServiceEndpoints
from omnitron.daemon.decisions.apps import app_order, foreign
from omnitron.daemon.decisions.intake import choose_stack
from omnitron.daemon.decisions.plan import nothing_to_do
from omnitron.model.infrastructure import InfraService
from omnitron.model.needs import Needs
from omnitron.model.restart import Restart
from omnitron.model.scaling import Limits, Scaling
from omnitron.model.stack import Stack, StackSettings
from omnitron.model.state import Want


def spec_of(world: World, app: str, name: str, stack: str = "dev"):  # type: ignore[no-untyped-def]
    return next(p for p in world.records[stack, app].spec.processes if p.process.name == name)


# -- the plan


def test_the_first_up_creates_and_the_second_has_nothing_to_do() -> None:
    world = World()
    description = describe(system("market", process("http", port=3003), process("pool", instances=2)))
    assert said(world.up(description)) == [("create", "market/http", "new"), ("create", "market/pool", "2 replicas")]
    again = world.up(description)
    assert nothing_to_do(list(again.changes)) and len(again.changes) == 2


def test_a_changed_definition_reloads_that_process_only_and_says_which_field() -> None:
    world = World()
    world.up(describe(system("market", process("http"), process("pool"))))
    changed = world.up(describe(system("market", process("http"), process("pool", limits=Limits(concurrency=3)))))
    assert said(changed) == [("keep", "market/http", ""), ("reload", "market/pool", "definition changed: limits")]


def test_changed_code_reloads_what_runs_it() -> None:
    world = World()
    description = describe(system("market", process("http"), process("sh", module=None, command=("sleep", "9"))))
    world.up(description)
    world.code["market"] = "c1"
    assert said(world.up(description)) == [("reload", "market/http", "code changed"), ("keep", "market/sh", "")]


def test_what_only_the_keeper_acts_upon_replaces_no_replica() -> None:
    world = World()
    world.up(describe(system("market", process("http"))))
    intake = world.up(describe(system("market", process("http", instances=3, restart=Restart(intensity=9)))))
    assert said(intake) == [("update", "market/http", "replicas 1 -> 3; definition changed: instances, restart")]


def test_a_changed_environment_is_named_without_its_value() -> None:
    world = World()
    world.up(describe(system("market", process("http"), env={"TOKEN": "one"})))
    ((action, _, reason),) = said(world.up(describe(system("market", process("http"), env={"TOKEN": "two"}))))
    assert action == "reload" and "TOKEN" in reason and "two" not in reason


def test_processes_and_apps_that_are_gone_are_removed() -> None:
    world = World()
    world.up(describe(system("market", process("http"), process("pool")), system("ledger")))
    intake = world.up(describe(system("market", process("http"))))
    assert ("remove", "market/pool", "no longer declared") in said(intake)
    assert ("remove", "ledger", "no longer declared") in said(intake)
    gone = world.records["dev", "ledger"]
    assert gone.want is Want.DOWN and gone.leaving


def test_apps_of_another_definition_stay() -> None:
    world = World()
    world.up(describe(system("ledger"), path="/srv/ledger.py"))
    intake = world.up(describe(system("market")))
    assert {subject for _, subject, _ in said(intake)} == {"market/http"}
    assert world.records["dev", "ledger"].want is Want.UP


def test_the_same_app_from_another_file_is_refused_while_the_first_is_up() -> None:
    world = World()
    world.up(describe(system("market"), path="/one/system.py"))
    with pytest.raises(Refused, match=r"/one/system.py.*/two/system.py"):
        world.up(describe(system("market"), path="/two/system.py"))
    world.records["dev", "market"] = msgspec.structs.replace(world.records["dev", "market"], want=Want.DOWN)
    world.up(describe(system("market"), path="/two/system.py"))


def test_up_tries_again_what_has_failed() -> None:
    world = World()
    world.up(describe(system("market")))
    world.observed["market"] = status("market", shown("http", "failed"), state="failed")
    assert said(world.up(describe(system("market")))) == [("restart", "market/http", "it had failed")]


def test_the_name_infra_is_refused_for_an_app() -> None:
    with pytest.raises(Refused, match="infra"):
        World().up(describe(system("infra")))


# -- counts


def test_a_scaled_count_stays_until_the_definition_changes_it() -> None:
    world = World()
    world.up(describe(system("market", process(instances=2))))
    record = world.records["dev", "market"]
    scaled = msgspec.structs.replace(record.spec.processes[0], count=5)
    world.records["dev", "market"] = msgspec.structs.replace(
        record, spec=msgspec.structs.replace(record.spec, processes=(scaled,))
    )
    kept = world.up(describe(system("market", process(instances=2))))
    assert said(kept) == [("keep", "market/http", "scaled to 5, the definition says 2")]
    assert spec_of(world, "market", "http").count == 5
    world.up(describe(system("market", process(instances=3))))
    assert spec_of(world, "market", "http").count == 3


def test_an_autoscaled_count_never_exceeds_a_lowered_maximum() -> None:
    world = World()
    auto = Scaling(strategy="auto", max_instances=8)
    world.up(describe(system("market", process(instances=2, scaling=auto))))
    record = world.records["dev", "market"]
    grown = msgspec.structs.replace(record.spec.processes[0], count=8)
    world.records["dev", "market"] = msgspec.structs.replace(
        record, spec=msgspec.structs.replace(record.spec, processes=(grown,))
    )
    world.up(describe(system("market", process(instances=2, scaling=Scaling(strategy="auto", max_instances=4)))))
    assert spec_of(world, "market", "http").count == 4


# -- ports


def test_the_default_stack_uses_declared_ports_and_another_gets_its_own_and_keeps_them() -> None:
    world = World()
    stacks = {"dev": Stack(), "staging": Stack()}
    description = describe(system("market", process(port=3003)), stacks=stacks)
    world.up(description)
    assert spec_of(world, "market", "http").ports == {"http": 3003}
    world.up(description, "staging")
    port = spec_of(world, "market", "http", "staging").ports["http"]
    assert port >= 40_000
    world.up(description, "staging")
    assert spec_of(world, "market", "http", "staging").ports == {"http": port}


def test_a_declared_offset_is_honoured() -> None:
    world = World()
    stacks = {"dev": Stack(), "staging": Stack(settings=StackSettings(port_offsets={"market/http": 10}))}
    world.up(describe(system("market", process(port=3003)), stacks=stacks), "staging")
    assert spec_of(world, "market", "http", "staging").ports == {"http": 3013}


def test_port_zero_is_allocated_once() -> None:
    world = World()
    description = describe(system("market", process(port=0), process("two", port=0)))
    world.up(description)
    ports = [spec_of(world, "market", name).ports["http"] for name in ("http", "two")]
    assert len(set(ports)) == 2
    assert nothing_to_do(list(world.up(description).changes))
    assert [spec_of(world, "market", name).ports["http"] for name in ("http", "two")] == ports


def test_two_claimants_of_a_port_are_both_named() -> None:
    world = World()
    world.up(describe(system("ledger", process("api", port=3003)), path="/srv/ledger.py"))
    with pytest.raises(Refused, match=r"3003.*ledger/api/http of stack dev.*market/http/http of stack dev"):
        world.up(describe(system("market", process(port=3003))))


def test_a_port_of_an_app_that_is_down_yields_to_who_declares_it() -> None:
    world = World()
    world.up(describe(system("old", process(port=3003)), path="/srv/old.py"))
    world.records["dev", "old"] = msgspec.structs.replace(world.records["dev", "old"], want=Want.DOWN)
    world.up(describe(system("market", process(port=3003))))
    assert world.claims[3003].claimant == "market/http/http"


def test_a_port_another_program_listens_on_is_refused_unless_it_is_ours_already() -> None:
    world = World()
    world.taken.add(3003)
    with pytest.raises(Refused, match=r"3003.*another program"):
        world.up(describe(system("market", process(port=3003))))
    world.taken.clear()
    world.up(describe(system("market", process(port=3003))))
    world.taken.add(3003)  # by its own keeper now
    world.up(describe(system("market", process(port=3003))))


def test_processes_of_one_app_may_swap_ports() -> None:
    world = World()
    world.up(describe(system("market", process("a", port=3001), process("b", port=3002))))
    world.taken |= {3001, 3002}
    intake = world.up(describe(system("market", process("a", port=3002), process("b", port=3001))))
    assert spec_of(world, "market", "a").ports == {"http": 3002}
    assert "http port 3001 -> 3002" in said(intake)[0][2]


# -- infrastructure


def test_needs_are_met_with_addresses_that_stay() -> None:
    world = World()
    description = describe(system("market", needs=Needs(database=True, redis=True)))
    intake = world.up(description)
    assert [("create", s) for a, s, _ in said(intake)[:2] if a == "create"] == [
        ("create", "infra/postgres"), ("create", "infra/redis"),
    ]  # fmt: skip
    env = spec_of(world, "market", "http").env
    assert env["DATABASE_URL"].startswith("postgresql://market:") and env["REDIS_URL"].startswith("redis://")
    assert nothing_to_do(list(world.up(description).changes))
    assert spec_of(world, "market", "http").env == env


def test_infrastructure_of_a_second_definition_joins_and_leaves_the_first_alone() -> None:
    world = World()
    world.up(describe(system("market", needs=Needs(redis=True)), path="/srv/a.py"))
    before = spec_of(world, "market", "http").env["REDIS_URL"]
    intake = world.up(describe(system("ledger", needs=Needs(redis=True)), path="/srv/b.py"))
    assert [c.app for c in world.infra["dev/redis"].plan.clients] == ["ledger", "market"]
    assert ("update", "infra/redis", "its definition or its apps changed") in said(intake)
    assert spec_of(world, "market", "http").env["REDIS_URL"] == before
    assert spec_of(world, "ledger", "http").env["REDIS_URL"] != before


def test_a_service_nobody_needs_any_more_is_removed_and_gets_its_port_back() -> None:
    world = World()
    world.up(describe(system("market", needs=Needs(redis=True))))
    port, password = world.infra["dev/redis"].settled.port, world.infra["dev/redis"].settled.password
    intake = world.up(describe(system("market")))
    assert ("remove", "infra/redis", "no app needs it; its data stay") in said(intake)
    world.up(describe(system("market", needs=Needs(redis=True))))
    assert (world.infra["dev/redis"].settled.port, world.infra["dev/redis"].settled.password) == (port, password)


def test_the_same_service_declared_differently_is_refused_with_both_files() -> None:
    world = World()
    one = {"redis": InfraService(preset="redis", config={"max_memory": "1GiB"})}
    world.up(describe(system("market", needs=Needs(redis=True)), path="/srv/a.py", services=one))
    two = {"redis": InfraService(preset="redis")}
    with pytest.raises(Refused, match=r"/srv/.\.py.*/srv/.\.py"):
        world.up(describe(system("ledger", needs=Needs(redis=True)), path="/srv/b.py", services=two))


def test_services_of_an_app_whose_definition_was_lost_stay() -> None:
    world = World()
    world.up(describe(system("market", needs=Needs(redis=True)), path="/srv/a.py"))
    world.records["dev", "market"] = msgspec.structs.replace(world.records["dev", "market"], description=None)
    world.up(describe(system("ledger"), path="/srv/b.py"))
    assert world.infra["dev/redis"].used
    assert [c.app for c in world.infra["dev/redis"].plan.clients] == ["market"]


# -- environment, needs, order


def test_the_nearer_environment_wins() -> None:
    world = World()
    stacks = {"dev": Stack(env={"D": "stack"})}
    inner = process(env={"B": "process", "D": "process"})
    world.up(describe(system("market", inner, env={"A": "app", "B": "app"}), stacks=stacks))
    env = spec_of(world, "market", "http").env
    assert (env["A"], env["B"], env["D"], env["OMNITRON_STACK"]) == ("app", "process", "stack", "dev")


def test_calls_become_needs_and_order_within_the_app() -> None:
    world = World()
    market = system("market", process("http", depends_on=("sh",)), process("pool", expose=True), process("sh"))
    world.up(describe(facts(market, http=((), ["Pool", "Price"]), pool=(["Pool"], ()))))
    http = spec_of(world, "market", "http")
    assert http.calls == ("Pool", "Price") and http.after == ("sh", "pool")
    assert spec_of(world, "market", "pool").services == (("pool@1.0.0", "Pool"),)


def test_apps_start_after_those_they_call_and_cycles_of_calls_are_one_layer() -> None:
    world = World()
    market = facts(system("market", process("http", expose=True)), http=(["Price"], ["Book"]))
    ledger = facts(system("ledger", process("http", expose=True)), http=(["Book"], ["Price"]))
    web = facts(system("web", process("http")), http=((), ["market/Price"]))
    world.up(describe(web, market, ledger, system("audit"), depends_on={"audit": ("web",)}))
    layers = app_order(world.records.values())
    assert [set(layer) for layer in layers] == [{"market", "ledger"}, {"web"}, {"audit"}]


def test_only_endpoints_an_app_needs_are_shown_to_it() -> None:
    world = World()
    web = facts(system("web", process("http")), http=((), ["market/Price"]))
    own = facts(system("own", process("http"), process("p", expose=True)), http=((), ["Price"]), p=(["Price"], ()))
    world.up(describe(web, own))
    price = ServiceEndpoints("market", "price@1.0.0", "Price", (EndpointInfo("market/p/0", "/s", 1, 4),))
    other = ServiceEndpoints("other", "price@1.0.0", "Price", ())
    published = {"market": [price], "other": [other]}
    assert foreign(world.records["dev", "web"].spec, published) == [price]
    assert foreign(world.records["dev", "own"].spec, published) == []


# -- stacks


def test_the_only_declared_stack_is_meant_and_an_undeclared_one_is_refused() -> None:
    one = describe(system("market"), stacks={"prod": Stack()})
    assert choose_stack(one, None) == "prod"
    assert choose_stack(describe(system("market")), None) == "dev"
    assert choose_stack(describe(system("market")), "any") == "any"
    with pytest.raises(Refused, match="prod"):
        choose_stack(one, "prd")
