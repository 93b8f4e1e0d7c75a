"""What a user's type checker sees; checked by mypy in `make lint`, never run."""

from collections.abc import AsyncIterator
from typing import assert_type

from omnitron import Http, Process, Remote, System, Topology, Transports, define_system, rpc, service, with_options


@service("prices@1.0.0")
class Prices:
    @rpc(idempotent=True)
    async def latest(self, symbol: str) -> float:
        return float(len(symbol))

    @rpc
    async def ticks(self, symbol: str) -> AsyncIterator[float]:
        yield await self.latest(symbol)


@service("shop@1.0.0")
class Shop:
    def __init__(self, prices: Remote[Prices]) -> None:
        assert_type(prices, Prices)
        self.prices = prices

    @rpc
    async def total(self, symbols: list[str]) -> float:
        first = await self.prices.latest(symbols[0])
        assert_type(first, float)
        keyed = with_options(self.prices, key=symbols[0], deadline="2s")
        assert_type(keyed, Prices)
        async for tick in self.prices.ticks(symbols[0]):
            assert_type(tick, float)
        await self.prices.latest(1)  # type: ignore[arg-type]
        return await keyed.latest(symbols[0])


system = define_system(
    name="shop",
    version="1.0.0",
    processes=[
        Process(name="http", module="shop.api", transports=Transports(http=Http(port=8080))),
        Process(name="prices", module="shop.prices", instances=2, topology=Topology(expose=True)),
    ],
)
assert_type(system, System)
