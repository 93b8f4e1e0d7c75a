"""collector: one process holds every exchange connection and puts raw trades into the stream. A singleton: two of it
would dial the same exchanges twice."""

import asyncio
import os
from collections.abc import Sequence

from market.feeds.addresses import parse_feeds
from market.feeds.client import FeedStats, run_feed
from market.stream import TICKS
from market.trades import Trade
from omnitron import on_start, on_stop, rpc, service
from omnitron.base.tasks import TaskSet
from omnitron.kits.streams import Streams

SUBSCRIBE = tuple(os.environ.get("MARKET_SYMBOLS", "BTC-USDT,ETH-USDT,BTC-USD,ETH-USD").split(","))


@service("collector@1.0.0")
class Collector:
    """A frame is done with when its trades are in Redis: until then the exchange is held up, nothing is dropped."""

    def __init__(self, streams: Streams) -> None:
        self._ticks = streams.producer(TICKS)
        self._feeds = parse_feeds(os.environ["MARKET_FEEDS"])
        self._stats = {name: FeedStats() for name in self._feeds}
        self._tasks = TaskSet("collector")

    @on_start
    async def connect(self) -> None:
        for name, url in self._feeds.items():
            feed = run_feed(name, url, self._publish, symbols=SUBSCRIBE, stats=self._stats[name])
            self._tasks.start(feed, name)

    @on_stop
    async def disconnect(self) -> None:
        await self._tasks.close()

    async def _publish(self, trades: Sequence[Trade]) -> None:
        await self._ticks.send_many(trades)

    @rpc(idempotent=True)
    async def feeds(self) -> dict[str, dict[str, str]]:
        """What each feed has done so far."""
        await asyncio.sleep(0)
        return {
            name: {
                "connected": str(stats.connected).lower(),
                "frames": str(stats.frames),
                "trades": str(stats.trades),
                "rejected": str(stats.rejected.total()),
                "last_error": stats.last_error,
            }
            for name, stats in self._stats.items()
        }
