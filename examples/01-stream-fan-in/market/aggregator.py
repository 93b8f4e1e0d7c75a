"""stream-aggregator: takes trades from the stream in batches, stores them exactly once, keeps sums per market."""

import msgspec

from market import tables
from market.candles import vwap_json
from market.stream import TICKS
from market.trades import Trade
from omnitron import service
from omnitron.kits.database import Database
from omnitron.kits.redis import Redis
from omnitron.kits.streams import Batch, consume

CACHE_S = 2  # a cached average that no trade renews is forgotten after this


@service("stream-aggregator@1.0.0")
class StreamAggregator:
    def __init__(self, database: Database, redis: Redis) -> None:
        self._database, self._redis = database, redis

    @consume(TICKS, group="aggregators", batch=1000)
    async def on_ticks(self, batch: Batch[Trade]) -> None:
        """One transaction a batch; a batch delivered again after a crash changes nothing."""
        async with self._database.raw() as connection:
            changed = await tables.store(connection, batch.items)
        if changed:
            pipeline = self._redis.pipeline(transaction=False)
            for vwap in changed:
                pipeline.set(f"vwap:{vwap.symbol}", msgspec.json.encode(vwap_json(vwap)), ex=CACHE_S)
            await pipeline.execute()
