from collections.abc import AsyncIterator

from omnitron import rpc, service


@service("rates@1.2.0")
class Rates:
    def __init__(self) -> None:
        self.asked = 0

    @rpc
    async def rate(self, currency: str) -> float:
        if currency == "XXX":
            raise ValueError("no such currency")
        return {"EUR": 1.0, "USD": 0.5}[currency]

    @rpc
    def slowly(self, currency: str) -> float:
        return 2.0

    @rpc
    async def history(self, currency: str, days: int) -> AsyncIterator[float]:
        for day in range(days):
            yield float(day)

    @rpc
    async def count(self) -> int:
        self.asked += 1
        return self.asked
