"""ohlcv-aggregator: a pool that computes candles. Stateless: any worker may take any market."""

from market import tables
from omnitron import rpc, service
from omnitron.kits.database import Database


@service("ohlcv@1.0.0")
class OhlcvAggregatorWorker:
    def __init__(self, database: Database) -> None:
        self._database = database

    @rpc(idempotent=True, deadline="30s")
    async def rebuild_candle(self, symbol: str, interval: str) -> int:
        """Compute the candles of the market that have changed; how many. Again does no harm."""

        async def work() -> int:
            async with self._database.raw() as connection:
                return await tables.rebuild(connection, symbol, interval)

        return await self._database.retry_transient(work)
