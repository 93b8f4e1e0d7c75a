import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from omnitron.base.errors import DefinitionError
from omnitron.declare.hooks import HookMark, ProvideMark, hook_marks, on_start, on_stop, provide, provide_mark, warmup
from omnitron.declare.remote import Remote, remote_target
from omnitron.declare.route import RouteMark, route, route_marks
from omnitron.declare.rpc import RpcMark, rpc, rpc_mark
from omnitron.declare.schedule import CronMark, IntervalMark, JobPolicy, OnceMark, cron, interval, once, schedule_marks
from omnitron.declare.service import ServiceMark, service, service_mark


def test_a_service_knows_its_name_and_version():
    @service("order-book@1.2.3-rc.1")
    class Book: ...

    class Sub(Book): ...

    assert service_mark(Book) == ServiceMark("order-book", "1.2.3-rc.1")
    assert service_mark(Sub) is None


@pytest.mark.parametrize(
    "text", ["book", "book@1", "book@1.0", "Book@1.0.0", "book@01.0.0", "@1.0.0", "book@1.0.0@2.0.0"]
)
def test_a_service_that_does_not_say_both_properly_is_refused(text):
    with pytest.raises(DefinitionError) as refused:
        service(text)
    assert refused.value.remedy


def test_service_without_a_name_is_refused_with_an_example():
    with pytest.raises(DefinitionError, match=r'@service\("name@1.0.0"\)'):
        service(type("Plain", (), {}))  # type: ignore[arg-type]


def test_rpc_records_its_options_and_leaves_the_function_alone():
    @rpc
    async def plain(self) -> None: ...

    @rpc(idempotent=True, deadline="1m30s", key="symbol", max_concurrency=2)
    async def full(self, symbol: str) -> None: ...

    async def unmarked(self) -> None: ...

    assert rpc_mark(plain) == RpcMark()
    assert rpc_mark(full) == RpcMark(idempotent=True, deadline_s=90.0, key="symbol", max_concurrency=2)
    assert rpc_mark(unmarked) is None


@pytest.mark.parametrize("options", [{"max_concurrency": 0}, {"deadline": 0}, {"deadline": "soon"}, {"key": "nothing"}])
def test_rpc_options_that_can_not_hold_are_refused(options):
    with pytest.raises(DefinitionError):

        @rpc(**options)
        async def method(self, symbol: str) -> None: ...


def test_rpc_on_something_else_than_a_method_is_refused():
    with pytest.raises(DefinitionError, match="directly on a method"):
        rpc(property(lambda self: 1))  # type: ignore[arg-type]


def test_remote_says_what_it_is_remote_of():
    class Book: ...

    assert remote_target(Remote[Book]) is Book
    assert remote_target(Book) is None
    assert remote_target("Book") is None


def test_routes_are_recorded_in_order_with_who_may_enter():
    @route("get", "/a", public="it is a list of names")
    @route("POST", "/b", auth="admin")
    @route("PUT", "/c")
    async def handler(self, request): ...

    assert route_marks(handler) == (
        RouteMark("GET", "/a", "it is a list of names"),
        RouteMark("POST", "/b", None, "admin"),
        RouteMark("PUT", "/c"),
    )
    assert [mark.guarded for mark in route_marks(handler)] == [True, True, False]


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (("FETCH", "/"), {}),
        (("GET", "a"), {}),
        (("GET", "/"), {"public": " "}),
        (("GET", "/"), {"public": "x", "auth": 1}),
    ],
)
def test_routes_that_make_no_sense_are_refused(args, options):
    with pytest.raises(DefinitionError):
        route(*args, **options)


def test_schedules_are_recorded_with_their_policy():
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    @cron("0 */5 * * * *", timezone="Europe/Berlin", overlap="queue")
    @interval("10s", every_replica=True)
    @once(at=moment, misfire="skip", misfire_grace=5)
    @once(after="1m", name="soon")
    async def job(self) -> None: ...

    assert schedule_marks(job) == (
        CronMark("0 */5 * * * *", "Europe/Berlin", JobPolicy(overlap="queue")),
        IntervalMark(10.0, JobPolicy(every_replica=True)),
        OnceMark(moment, None, JobPolicy(misfire="skip", misfire_grace_s=5.0)),
        OnceMark(None, 60.0, JobPolicy(name="soon")),
    )


@pytest.mark.parametrize(
    "bad",
    [
        lambda: once(),
        lambda: once(at=datetime(2026, 1, 1, tzinfo=UTC), after=1),
        lambda: once(at=datetime(2026, 1, 1)),
        lambda: interval(0),
        lambda: cron("* * * * *", overlap="maybe"),  # type: ignore[arg-type]
        lambda: cron("* * * * *", misfire="never"),  # type: ignore[arg-type]
    ],
)
def test_schedules_that_can_not_be_kept_are_refused(bad):
    with pytest.raises(DefinitionError):
        bad()


def test_hooks_and_providers_are_recorded():
    @on_start
    @warmup
    @on_stop
    async def hook() -> None: ...

    @provide("call")
    def connection() -> Iterator[int]:
        yield 1

    assert [mark.moment for mark in hook_marks(hook)] == ["start", "warmup", "stop"]
    assert isinstance(hook_marks(hook)[0], HookMark)
    assert provide_mark(connection) == ProvideMark("call")


def test_a_provider_must_say_what_it_provides():
    with pytest.raises(DefinitionError, match="Annotate"):

        @provide()
        def nothing(): ...

    with pytest.raises(DefinitionError):
        provide("request")  # type: ignore[arg-type]


def test_declaring_imports_no_machinery():
    code = (
        "import sys, omnitron.declare.service, omnitron.declare.rpc, omnitron.declare.remote, omnitron.declare.route, "
        "omnitron.declare.schedule, omnitron.declare.hooks; print({'asyncio', 'socket', 'logging'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
