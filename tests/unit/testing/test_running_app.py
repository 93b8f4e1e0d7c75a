"""The test kit's system inside a test: real wiring and wire, the test's own doubles."""

import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import shop_broken
from shop.orders import ORDERS, Database, Order, Shop
from shop.rates import Rates

from omnitron import InvalidArguments, Process, RemoteError, define_system, with_options
from omnitron.base.errors import DefinitionError, InvalidResult, MethodNotFound, NotFound, UnsharedState
from omnitron.testing.app import RunningApp, running_app
from omnitron.testing.clock import FakeClock

DEFINITION = Path(__file__).parent / "shop_system.py"


class Notebook(Database):
    """Stands in for the database."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    def insert(self, order: Order) -> None:
        self.orders.append(order)


class StubRates:
    async def rate(self, currency: str) -> float:
        return 3.0


def shop() -> AbstractAsyncContextManager[RunningApp]:
    return running_app(DEFINITION, "http", overrides={Database: Notebook(), Rates: StubRates()})


async def test_a_process_runs_with_what_the_test_puts_in_the_place_of_its_dependencies() -> None:
    async with shop() as app:
        service = app.service(Shop)
        assert await service.price(2.0, "USD") == 6.0
        assert service.happened == ["started at EUR=3.0"]
    assert service.happened == ["started at EUR=3.0", "stopped"]


async def test_two_processes_call_each_other_through_the_wire() -> None:
    async with running_app(DEFINITION, processes=["http", "rates"], overrides={Database: Notebook()}) as app:
        assert await app.service(Shop).price(2.0, "USD") == 1.0
        rates = app.remote(Rates)
        assert await rates.slowly("EUR") == 2.0  # type: ignore[misc]
        assert [rate async for rate in rates.history("EUR", 3)] == [0.0, 1.0, 2.0]
        assert await with_options(rates, key="EUR").rate("EUR") == 1.0
        with pytest.raises(RemoteError, match="no such currency"):
            await rates.rate("XXX")
        with pytest.raises(InvalidArguments, match="days"):
            [rate async for rate in rates.history("EUR", "many")]  # type: ignore[arg-type]


async def test_without_names_all_python_processes_run_and_no_command() -> None:
    async with running_app(DEFINITION, overrides={Database: Notebook()}) as app:
        assert repr(app) == "<RunningApp shop/rates shop/http>"  # who is called first


async def test_http_is_the_processs_own_server() -> None:
    async with shop() as app:
        assert (await app.http.get("/price/2")).json() == {"USD": 6.0}
        assert (await app.http.post("/rpc/shop/replica")).json() == "corner"
        assert (await app.http.get("/readyz")).status_code == 200
        assert (await app.http.get("/nothing")).json()["code"] == "not_found"


async def test_an_override_of_a_remote_service_is_called_through_the_wire_too() -> None:
    class Wrong:
        async def rate(self, currency: str) -> Any:
            return 1.0 if currency == "EUR" else "a dollar"

    async with running_app(DEFINITION, "http", overrides={Database: Notebook(), Rates: Wrong()}) as app:
        with pytest.raises(InvalidResult):
            await app.service(Shop).price(2.0, "USD")
        with pytest.raises(MethodNotFound, match="the override of Rates"):
            await app.remote(Rates).count()


async def test_an_override_wins_over_a_started_process() -> None:
    overrides = {Database: Notebook(), Rates: StubRates()}
    async with running_app(DEFINITION, processes=["http", "rates"], overrides=overrides) as app:
        assert await app.service(Shop).price(2.0, "USD") == 6.0


async def test_a_job_runs_when_it_is_fired_and_not_by_itself() -> None:
    clock = FakeClock(start=0.0)
    async with running_app(
        DEFINITION, "http", overrides={Database: Notebook(), Rates: StubRates()}, clock=clock
    ) as app:
        await clock.advance(2 * 86400)
        assert app.service(Shop).happened == ["started at EUR=3.0"]
        await app.fire("nightly")
        assert app.service(Shop).happened[1:] == ["night at 172800"]
        with pytest.raises(RuntimeError, match="out of paper"):
            await app.fire("hourly-report")
        with pytest.raises(NotFound, match=r"Did you mean 'shop\.nightly'"):
            await app.fire("shop.nightl")


async def test_a_consumer_gets_what_it_is_fed_in_batches_of_its_size() -> None:
    notebook = Notebook()
    items = [Order(number, float(number)) for number in (1, 2, -3)]
    async with running_app(DEFINITION, "http", overrides={Database: notebook, Rates: StubRates()}) as app:
        dead = await app.feed(ORDERS, items)
        assert notebook.orders == items
        assert app.service(Shop).happened[1:] == ["2 orders", "1 orders"]
        assert [(letter.item.number, letter.reason) for letter in dead] == [
            (-3, "no order can be of less than nothing")
        ]
        with pytest.raises(msgspec.ValidationError):
            await app.feed(ORDERS, [Order("one", 1.0)])  # type: ignore[arg-type]


async def test_setting_an_attribute_during_a_call_is_an_error_in_a_pool() -> None:
    async with running_app(DEFINITION, "rates") as app:
        rates = app.service(Rates)
        with pytest.raises(UnsharedState, match=r"Rates\.asked was set during a call.*with_options"):
            await app.remote(Rates).count()
        rates.asked = 7  # not in a call
        assert isinstance(rates, Rates) and rates.asked == 7


async def test_what_nobody_provides_is_said_as_a_boot_says_it() -> None:
    system = define_system(name="broken", version="1.0.0", processes=[Process(name="p", module="shop_broken")])
    with pytest.raises(DefinitionError, match=r"needs Elsewhere, which nobody provides.*Clerk -> Desk"):
        async with running_app(system):
            pytest.fail("it runs")


async def test_a_boot_that_fails_raises_its_own_error_and_leaves_nothing() -> None:
    with pytest.raises(ConnectionError, match="postgres://nowhere"):
        async with running_app(DEFINITION, processes=["http", "rates"]):
            pytest.fail("it runs")


async def test_another_module_of_the_same_name_is_not_taken_for_the_apps(tmp_path: Path) -> None:
    (tmp_path / f"{shop_broken.__name__}.py").touch()
    system = define_system(
        name="other", version="1.0.0", cwd=str(tmp_path), processes=[Process(name="p", module="shop_broken")]
    )
    with pytest.raises(DefinitionError, match="have imported another module 'shop_broken' already"):
        async with running_app(system):
            pytest.fail("it runs")


async def test_an_override_nobody_asks_for_is_an_error() -> None:
    with pytest.raises(DefinitionError, match="override of Path would do nothing"):
        async with running_app(DEFINITION, "rates", overrides={Path: Path("x")}):
            pytest.fail("it runs")


async def test_an_override_by_a_class_is_an_error() -> None:
    with pytest.raises(DefinitionError, match="Give an instance"):
        async with running_app(DEFINITION, "http", overrides={Database: Notebook, Rates: StubRates()}):
            pytest.fail("it runs")


async def test_a_remote_that_nothing_answers_is_an_error_before_the_start() -> None:
    with pytest.raises(DefinitionError, match=r"Shop\.rates asks for Remote\[Rates\].*overrides=\{Rates: stub\}"):
        async with running_app(DEFINITION, "http", overrides={Database: Notebook()}):
            pytest.fail("it runs")


@pytest.mark.parametrize(
    ("name", "message"), [("htp", "Did you mean"), ("printer", "is a command"), ("other/http", "no process")]
)
async def test_a_process_that_can_not_be_run_is_an_error(name: str, message: str) -> None:
    with pytest.raises((NotFound, DefinitionError), match=message):
        async with running_app(DEFINITION, name):
            pytest.fail("it runs")


async def test_the_environment_is_as_it_was_after() -> None:
    before = dict(os.environ)
    async with running_app(DEFINITION, "rates", env={"MORE": "1"}) as app:
        assert (os.environ["SHOP_NAME"], os.environ["MORE"], os.environ["OMNITRON_STACK"]) == ("corner", "1", "test")
        with pytest.raises(NotFound, match="No process started here offers Shop, but Rates"):
            app.service(Shop)
    assert dict(os.environ) == before
