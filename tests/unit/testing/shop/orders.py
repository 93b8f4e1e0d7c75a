import os
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request

from omnitron import Remote, cron, interval, on_start, on_stop, provide, route, rpc, service
from omnitron.base.clock import Clock
from omnitron.kits.streams import Batch, Stream, consume
from shop.rates import Rates


class Order(msgspec.Struct, frozen=True):
    number: int
    euros: float


ORDERS = Stream("orders", type=Order, max_len=1000)


class Database:
    """Of which there is none here."""

    def __init__(self, url: str = "postgres://nowhere") -> None:
        raise ConnectionError(f"{url} can not be reached")

    def insert(self, order: Order) -> None: ...


@provide()
async def database() -> AsyncIterator[Database]:
    yield Database()


@service("shop@1.0.0")
class Shop:
    def __init__(self, database: Database, rates: Remote[Rates], clock: Clock) -> None:
        self.database, self.rates, self.clock = database, rates, clock
        self.happened: list[str] = []

    @on_start
    async def begin(self) -> None:
        self.happened.append(f"started at EUR={await self.rates.rate('EUR')}")

    @on_stop
    async def end(self) -> None:
        self.happened.append("stopped")

    @rpc
    async def price(self, euros: float, currency: str) -> float:
        return euros * await self.rates.rate(currency)

    @rpc(anonymous=True)
    async def replica(self) -> str:
        return os.environ["SHOP_NAME"]

    @route("GET", "/price/{euros}", public="prices are public")
    async def price_page(self, request: Request) -> dict[str, float]:
        return {"USD": await self.price(float(request.path_params["euros"]), "USD")}

    @cron("0 3 * * *")
    async def nightly(self) -> None:
        self.happened.append(f"night at {self.clock.now():.0f}")

    @interval("1h", name="hourly-report")
    def report(self) -> None:
        raise RuntimeError("the printer is out of paper")

    @consume(ORDERS, group="shop", batch=2)
    async def on_orders(self, batch: Batch[Order]) -> None:
        for order in batch:
            self.database.insert(order)
        self.happened.append(f"{len(batch)} orders")
        if any(order.euros < 0 for order in batch):
            await batch.dead_letter("no order can be of less than nothing")
