"""The check of definitions: each gotcha is found, named and given a remedy; a sound definition has no findings."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from omnitron.base.errors import DefinitionError
from omnitron.model.check import check, find_cycle
from omnitron.model.ecosystem import App, Ecosystem
from omnitron.model.facts import (
    AppFacts,
    Description,
    JobFact,
    NeedFact,
    ProcessFacts,
    RouteFact,
    ServiceFact,
    StreamFact,
)
from omnitron.model.finding import Finding
from omnitron.model.infrastructure import InfraService, Infrastructure
from omnitron.model.process import Process
from omnitron.model.scaling import Scaling
from omnitron.model.stack import Stack, StackSettings
from omnitron.model.system import System, define_system
from omnitron.model.topology import Topology
from omnitron.model.transports import Http, Transports

POOL = ServiceFact(name="ohlcv", version="1.0.0", class_name="OhlcvWorker", module="market.ohlcv")


@dataclass
class Entry:
    """One process with what its code says."""

    process: Process
    services: Sequence[ServiceFact] = ()
    needs: Sequence[NeedFact] = ()
    jobs: Sequence[JobFact] = ()
    streams: Sequence[StreamFact] = ()
    routes: Sequence[RouteFact] = ()
    error: str | None = None
    facts: ProcessFacts = field(init=False)

    def __post_init__(self) -> None:
        self.facts = ProcessFacts(
            process=self.process.name,
            services=tuple(self.services),
            needs=tuple(self.needs),
            jobs=tuple(self.jobs),
            streams=tuple(self.streams),
            routes=tuple(self.routes),
            error=self.error,
        )


def described(*entries: Entry, others: Sequence[AppFacts] = (), **ecosystem: object) -> Description:
    apps = (app_facts("market", *entries), *others)
    found = Ecosystem(name="all", apps=tuple(App(name=a.app, system=a.system) for a in apps), **ecosystem)  # type: ignore[arg-type]
    return Description(path="system.py", python="python", ecosystem=found, apps=apps)


def app_facts(name: str, *entries: Entry) -> AppFacts:
    system = System(name=name, version="1.0.0", processes=tuple(entry.process for entry in entries))
    return AppFacts(app=name, system=system, cwd=".", processes=tuple(entry.facts for entry in entries))


def need(class_name: str = "OhlcvWorker", service: str | None = "ohlcv", version: str | None = "1.0.0") -> NeedFact:
    return NeedFact(class_name=class_name, service=service, version=version, where="market.api:Market.pool")


def pool(expose: bool = True, name: str = "ohlcv") -> Entry:
    return Entry(Process(name=name, module="market.ohlcv", topology=Topology(expose=expose)), services=[POOL])


def caller(access: tuple[str, ...] | None = None, **more: object) -> Entry:
    topology = Topology(access=access)
    return Entry(
        Process(name="http", module="market.api", topology=topology),
        needs=[need(**more)],
        jobs=[JobFact("j", "cron", "")],
    )  # type: ignore[arg-type]


def only(findings: tuple[Finding, ...], code: str) -> Finding:
    assert [finding.code for finding in findings] == [code]
    return findings[0]


def test_a_sound_definition_has_no_findings() -> None:
    assert check(described(caller(("OhlcvWorker",)), pool())) == ()


def test_a_need_nobody_exposes_is_an_error_with_the_nearest_name() -> None:
    found = only(check(described(caller(class_name="OhlvcWorker", service=None, version=None), pool())), "need.unknown")
    assert "Process 'http' of app 'market' uses 'OhlvcWorker', which no process exposes." in found.message
    assert "Did you mean 'OhlcvWorker' (exposed by market/ohlcv)?" in found.message


def test_a_need_met_by_a_process_that_does_not_expose_names_the_process() -> None:
    found = only(check(described(caller(), pool(expose=False))), "need.not_exposed")
    assert "'ohlcv'" in found.message and "expose=True" in found.remedy


def test_a_need_met_by_two_apps_is_ambiguous_and_one_of_the_own_app_wins() -> None:
    first, second = app_facts("a", pool()), app_facts("b", pool())
    found = only(check(described(caller(), others=[first, second])), "need.ambiguous")
    assert "a/ohlcv" in found.message and "b/ohlcv" in found.message
    assert check(described(caller(), pool(), others=[first])) == ()


def test_an_access_list_that_misses_an_injected_service_is_an_error() -> None:
    found = check(described(caller(access=()), pool()))
    assert "lists only nothing" in only(found, "need.no_access").message


def test_an_access_entry_nobody_exposes_is_an_error() -> None:
    found = check(described(caller(access=("OhlcvWorker", "Ghost")), pool()))
    assert "'Ghost'" in only(found, "need.unknown").message


def test_a_stream_without_a_bound_is_an_error() -> None:
    entry = Entry(
        Process(name="c", module="m.c"), services=[POOL], streams=[StreamFact(name="ticks", where="m.c:TICKS")]
    )
    assert "ticks" in only(check(described(entry)), "stream.unbounded").message
    bounded = Entry(
        Process(name="c", module="m.c"), services=[POOL], streams=[StreamFact("ticks", "m.c:TICKS", max_age=1)]
    )
    assert check(described(bounded)) == ()


def test_an_unreadable_schedule_and_two_jobs_of_one_name_are_errors() -> None:
    jobs = [JobFact("rebuild", "cron", "0 */5 *", error="Wrong number of fields"), JobFact("rebuild", "cron", "x")]
    found = check(described(Entry(Process(name="s", module="m.s"), jobs=jobs)))
    assert [f.code for f in found] == ["job.unreadable", "job.duplicate"]
    assert "0 */5 *" in found[0].message


def test_a_route_that_does_not_say_who_may_enter_is_an_error() -> None:
    http = Transports(http=Http(port=0))
    route = RouteFact("GET", "/x", "m.s:S.x")
    entry = Entry(Process(name="s", module="m.s", transports=http), routes=[route])
    assert "GET /x" in only(check(described(entry)), "route.open").message


def test_a_route_without_a_transport_and_one_served_twice_are_errors() -> None:
    route = RouteFact("GET", "/x", "m.s:S.x", public="everybody")
    entry = Entry(Process(name="s", module="m.s"), routes=[route, route])
    assert [f.code for f in check(described(entry))] == ["route.duplicate", "route.no_transport"]


def test_two_processes_on_one_port_are_an_error_naming_both() -> None:
    def entry(name: str) -> Entry:
        return Entry(Process(name=name, command=("x",), transports=Transports(http=Http(port=3003))))

    found = only(check(described(entry("one"), entry("two"))), "port.clash")
    assert "market/one" in found.message and "market/two" in found.message


def test_a_port_shared_with_infrastructure_is_an_error() -> None:
    entry = Entry(Process(name="one", command=("x",), transports=Transports(http=Http(port=3003))))
    infra = Infrastructure(services={"redis": InfraService(preset="redis", config={"port": 3003})})
    assert "redis" in only(check(described(entry, infrastructure=infra)), "port.clash").message


def test_dependencies_must_exist_and_must_not_go_in_a_circle() -> None:
    a = Entry(Process(name="a", command=("x",), depends_on=("b",)))
    b = Entry(Process(name="b", command=("x",), depends_on=("a",)))
    assert "a -> b -> a" in only(check(described(a, b)), "dependency.cycle").message
    lost = Entry(Process(name="a", command=("x",), depends_on=("bb",)))
    other = Entry(Process(name="b", command=("x",)))
    assert "'bb'" in only(check(described(lost, other)), "dependency.unknown").message


def test_stacks_with_the_same_offset_are_refused_with_both_names() -> None:
    def stack(offset: int) -> Stack:
        return Stack(settings=StackSettings(redis_db_offset=offset))

    entry = Entry(Process(name="a", command=("x",)))
    found = only(check(described(entry, stacks={"dev": stack(5), "staging": stack(5)})), "stack.overlap")
    assert "'dev'" in found.message and "'staging'" in found.message
    assert check(described(entry, stacks={"dev": stack(0), "staging": stack(5)})) == ()


def test_a_module_that_can_not_be_imported_is_an_error() -> None:
    entry = Entry(Process(name="a", module="m.a"), error="ModuleNotFoundError: No module named 'x' (m/a.py:3)")
    assert "m/a.py:3" in only(check(described(entry)), "module.broken").message


def test_a_broken_module_is_not_blamed_on_those_who_need_it() -> None:
    broken = Entry(
        Process(name="ohlcv", module="market.ohlcv"), error="SyntaxError: invalid syntax (market/ohlcv.py:1)"
    )
    only(check(described(caller(("OhlcvWorker",)), broken)), "module.broken")


def test_a_module_that_offers_nothing_is_a_warning() -> None:
    assert only(check(described(Entry(Process(name="a", module="m.a")))), "module.empty").level == "warning"


def test_find_cycle_returns_the_closed_path_or_nothing() -> None:
    assert find_cycle({"a": ("b",), "b": ("c",), "c": ("b",)}) == ("b", "c", "b")
    assert find_cycle({"a": ("b", "c"), "b": ("c",), "c": ()}) == ()


@pytest.mark.parametrize(
    ("process", "words"),
    [
        (lambda: Process(name="c", module="m.c", singleton=True, instances=2), "singleton"),
        (lambda: Process(name="c", module="m.c", singleton=True, scaling=Scaling(max_instances=3)), "singleton"),
        (lambda: Process(name="c"), "says nothing"),
        (lambda: Process(name="c", module="m", command=("x",)), "module and command"),
        (lambda: Process(name="c", module="./app.module.js"), "not a module name"),
        (lambda: Process(name="Bad Name", module="m"), "name 'Bad Name'"),
        (lambda: Process(name="c", module="m", instances=0), "instances=0"),
        (lambda: Process(name="c", module="m", startup_timeout="soon"), "'soon'"),
        (lambda: Http(port=70000), "70000"),
        (lambda: Http(port=1, max_request_size="10 parsecs"), "parsecs"),
    ],
)
def test_what_a_struct_can_see_for_itself_is_refused_when_it_is_built(process: object, words: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        process()  # type: ignore[operator]
    assert words in refused.value.message
    assert refused.value.remedy or "Http." in refused.value.message


def test_a_value_of_a_wrong_type_is_named_by_its_path() -> None:
    with pytest.raises(DefinitionError, match=r"\$\.processes\[0\]\.instances"):
        define_system(name="m", version="1", processes=[Process(name="a", module="m", instances=1.5)])  # type: ignore[arg-type]


def test_a_system_refuses_two_processes_of_one_name_and_none_at_all() -> None:
    with pytest.raises(DefinitionError, match="2 processes named 'a'"):
        define_system(name="m", version="1", processes=[Process(name="a", module="m"), Process(name="a", module="m")])
    with pytest.raises(DefinitionError, match="no processes"):
        define_system(name="m", version="1", processes=[])
