from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from omnitron.base.clock import Clock, SystemClock
from omnitron.base.errors import DefinitionError
from omnitron.child.container import Container
from omnitron.child.context import ReplicaContext
from omnitron.child.graph import Graph, build_graph
from omnitron.control.provide import ProvideContext
from omnitron.declare.hooks import provide
from omnitron.declare.remote import Remote
from omnitron.declare.rpc import rpc
from omnitron.declare.service import service

ENDED: list[str] = []


class Settings:
    pass


class Wheel:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings


@service("engine@1.0.0")
class Engine:
    @rpc
    async def run(self) -> None: ...


@service("car@1.0.0")
class Car:
    def __init__(self, wheel: Wheel, engine: Remote[Engine], clock: Clock, doors: int = 4) -> None:
        self.wheel, self.engine, self.clock, self.doors = wheel, engine, clock, doors


@service("garage@1.0.0")
class Garage:
    def __init__(self, car: Car) -> None:
        self.car = car


class Pool:
    def __init__(self, size: int = 10) -> None:
        self.size = size


class Kit:
    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    async def __omnitron_provide__(cls, ctx: ProvideContext) -> "AsyncIterator[Kit]":
        yield cls(ctx.replica)
        ENDED.append("kit")


@provide()
async def make_pool(settings: Settings) -> AsyncIterator[Pool]:
    yield Pool(3)
    ENDED.append("pool")


@provide("call")
def make_session(pool: Pool) -> Iterator["Session"]:
    yield Session(pool)
    ENDED.append("session")


class Session:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


def container(graph: Graph) -> Container:
    context = ReplicaContext("market/http/0", "dev", Path("/nonexistent"))
    return Container(graph, context, {Clock: SystemClock()}, lambda target: f"proxy of {target.__name__}")


async def test_services_are_built_once_from_what_their_constructors_ask_for() -> None:
    built: list[Any] = []
    made = container(build_graph([Garage, Car], [], [Clock]))
    await made.open(built.append)
    garage, car = made[Garage], made[Car]
    assert garage.car is car and car.engine == "proxy of Engine" and car.doors == 4
    assert isinstance(car.wheel.settings, Settings) and isinstance(car.clock, SystemClock)
    assert built == [car, garage]


async def test_providers_and_kits_are_ended_in_reverse_order() -> None:
    @service("user@1.0.0")
    class User:
        def __init__(self, kit: Kit, pool: Pool) -> None:
            self.kit, self.pool = kit, pool

    ENDED.clear()
    made = container(build_graph([User], [make_pool], []))
    await made.open()
    assert made[User].kit.name == "market/http/0" and made[User].pool.size == 3
    await made.close()
    assert ENDED == ["pool", "kit"]


async def test_what_lives_as_long_as_a_call_is_made_for_each_and_ended_after_it() -> None:
    async def handler(request: str, session: Session) -> tuple[str, Session]:
        assert ENDED == []
        return request, session

    graph = build_graph([], [make_pool, make_session], [])
    graph.add_call(handler, skip=1)
    made = container(graph)
    await made.open()
    ENDED.clear()
    request, session = await made.call(handler, "a")
    assert request == "a" and session.pool is made[Pool] and ENDED == ["session"]
    ENDED.clear()
    assert (await made.call(handler, "b"))[1] is not session
    await made.close()


async def test_what_was_built_is_ended_when_a_later_constructor_raises() -> None:
    @service("broken@1.0.0")
    class Broken:
        def __init__(self, kit: Kit) -> None:
            raise RuntimeError("no")

    ENDED.clear()
    with pytest.raises(RuntimeError, match="no"):
        await container(build_graph([Broken], [], [])).open()
    assert ENDED == ["kit"]


class Feed(Protocol):
    def read(self) -> str: ...


class Inner:
    def __init__(self, feed: Feed) -> None: ...


@service("outer@1.0.0")
class Outer:
    def __init__(self, inner: Inner) -> None: ...


class Hen:
    def __init__(self, egg: "Egg") -> None: ...


class Egg:
    def __init__(self, hen: Hen) -> None: ...


@service("farm@1.0.0")
class Farm:
    def __init__(self, hen: Hen) -> None: ...


class Redis:
    def __init__(self, host: str = "localhost") -> None: ...


@service("defaults@1.0.0")
class Defaults:
    def __init__(self, redis: Redis) -> None: ...


@service("neighbour@1.0.0")
class Neighbour:
    def __init__(self, far: "Far") -> None: ...


@service("far@1.0.0")
class Far:
    def __init__(self, n: int = 1) -> None: ...


@service("untyped@1.0.0")
class Untyped:
    def __init__(self, x) -> None: ...  # type: ignore[no-untyped-def]


@service("long@1.0.0")
class Long:
    def __init__(self, session: Session) -> None: ...


def make_other() -> Any:
    @provide()
    def another_pool() -> Pool:
        return Pool()

    return another_pool


@pytest.mark.parametrize(
    ("services", "providers", "words"),
    [
        ([Outer], [], ["Inner.__init__(feed: Feed) needs Feed, which nobody provides", "Outer -> Inner", "@provide()"]),
        ([Farm], [], ["Hen -> Egg -> Hen"]),
        ([Defaults], [], ["Defaults.__init__(redis: Redis) needs Redis"]),
        ([Neighbour], [], ["Remote[Far]"]),
        ([Untyped], [], ["Untyped has the parameter 'x' without a type"]),
        ([Long], [make_pool, make_session], ["Session as long as one call"]),
        ([], [make_pool, make_other()], ["Pool is provided twice", "make_pool", "another_pool"]),
    ],
)
def test_a_graph_that_can_not_be_built_says_why(services: Any, providers: Any, words: list[str]) -> None:
    with pytest.raises(DefinitionError) as caught:
        build_graph(services, providers, [])
    for word in words:
        assert word in str(caught.value)


def test_remotes_are_named_with_where_they_are_asked_for() -> None:
    graph = build_graph([Garage, Car], [], [Clock])
    assert graph.remotes() == [(Engine, "Car.engine")]


class Ledger:
    def __init__(self, path: str) -> None:
        self.path = path


@provide()
def make_ledger() -> Ledger:
    return Ledger("here")


async def test_a_provider_beside_the_class_counts() -> None:
    @service("books@1.0.0")
    class Books:
        def __init__(self, ledger: Ledger) -> None:
            self.ledger = ledger

    made = container(build_graph([Books], [], []))
    await made.open()
    assert made[Books].ledger.path == "here"
