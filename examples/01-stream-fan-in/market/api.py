"""http: the public read API, the page, and the schedule that sends work to the pool."""

import logging
import os
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from market import tables
from market.candles import Candle, candle_json, start_us, vwap_json
from market.ohlcv import OhlcvAggregatorWorker
from omnitron import NotFound, Remote, cron, route, rpc, service
from omnitron.kits.database import Database
from omnitron.kits.redis import Redis
from omnitron.kits.schedule import fan_out

PUBLIC = "market data is public"
MAX_CANDLES = 1000
T = TypeVar("T")
log = logging.getLogger("market.api")


@service("market@1.0.0")
class Market:
    def __init__(self, database: Database, redis: Redis, pool: Remote[OhlcvAggregatorWorker]) -> None:
        self._database, self._redis, self._pool = database, redis, pool

    @route("GET", "/symbols", public=PUBLIC)
    async def get_symbols(self, request: Request) -> list[str]:
        return await self.symbols()

    @route("GET", "/candles/{symbol}", public=PUBLIC)
    async def get_candles(self, request: Request) -> list[dict[str, str | int]]:
        interval = request.query_params.get("interval", "5m")
        start_us(0, interval)  # refuses an unknown one
        limit = request.query_params.get("limit", "100")
        found = await self._candles(request.path_params["symbol"], interval, int(limit) if limit.isdecimal() else 100)
        return [candle_json(candle) for candle in found]

    @route("GET", "/vwap/{symbol}", public=PUBLIC)
    async def get_vwap(self, request: Request) -> Response:
        symbol = request.path_params["symbol"]
        cached = await self._redis.get(f"vwap:{symbol}")
        if cached is not None:
            return Response(cached, media_type="application/json")
        found = await self._read(tables.vwap, symbol)
        if found is None:
            raise NotFound(f"There are no trades of {symbol!r}.", remedy="GET /symbols lists what there is.")
        return Response(msgspec.json.encode(vwap_json(found)), media_type="application/json")

    @route("GET", "/about", public=PUBLIC)
    async def about(self, request: Request) -> dict[str, str]:
        """Where the data comes from, so that the page can say so."""
        return {"source": os.environ.get("MARKET_SOURCE", "live")}

    @route("GET", "/", public=PUBLIC)
    async def page(self, request: Request) -> HTMLResponse:
        return HTMLResponse(files("market").joinpath("web", "index.html").read_text())

    @rpc(anonymous=True, idempotent=True)
    async def symbols(self) -> list[str]:
        """All markets, sorted."""
        return await self._read(tables.symbols)

    async def _candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        return await self._read(tables.candles, symbol, interval, min(max(limit, 1), MAX_CANDLES))

    async def _read(self, query: Callable[..., Awaitable[T]], *args: str | int) -> T:
        """A query does no harm twice: a restart of Postgres only makes it slower."""

        async def once() -> T:
            async with self._database.raw() as connection:
                return await query(connection, *args)

        return await self._database.retry_transient(once)

    @cron("*/2 * * * * *")
    async def rebuild_5m(self) -> None:
        await self._rebuild("5m")

    @cron("*/2 * * * * *")
    async def rebuild_1h(self) -> None:
        await self._rebuild("1h")

    @cron("*/2 * * * * *")
    async def rebuild_1d(self) -> None:
        await self._rebuild("1d")

    async def _rebuild(self, interval: str) -> None:
        """Only what has changed, at most 16 markets at a time; one that fails is logged and tried at the next tick."""
        stale = await self._read(tables.stale_symbols, interval)
        done = await fan_out(stale, lambda symbol: self._pool.rebuild_candle(symbol, interval), limit=16)
        for outcome in done.failed:
            log.warning("candles %s of %s not rebuilt: %s", interval, outcome.item, outcome.error)
