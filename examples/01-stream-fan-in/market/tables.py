"""The market's tables: each function is one transaction's work on an asyncpg connection.

Exactly once is made here. `store` inserts trades by their key, and everything derived (sums per market, which candles
are stale) follows from the rows that were really inserted, in the same statement. So a batch delivered twice changes
nothing the second time, and one that was cut off by a kill changes nothing at all.

Sums are `numeric`, which Postgres adds and multiplies without rounding; the one division is done in `decimals.ratio`.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

from market.candles import INTERVALS_US, Candle, Vwap
from market.decimals import ratio
from market.trades import Trade, order_key

PARENT: Final = {"5m": "1h", "1h": "1d"}
CHILD: Final = {"1h": "5m", "1d": "1h"}
MAX_REBUILT: Final = 500  # candles of one market in one transaction


class Connection(Protocol):
    """The part of asyncpg's connection that is used here."""

    async def fetch(self, query: str, *args: Any) -> list[Any]: ...
    async def fetchrow(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...


_STORE: Final = f"""
WITH inserted AS (
    INSERT INTO trades (exchange, symbol, id, price, size, time_us)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]::numeric[], $5::text[]::numeric[], $6::bigint[])
    ON CONFLICT DO NOTHING
    RETURNING symbol, price, size, time_us
), summed AS (
    INSERT INTO symbols AS held (symbol, notional, volume, trades, first_us, last_us)
    SELECT symbol, sum(price * size), sum(size), count(*), min(time_us), max(time_us)
    FROM inserted GROUP BY symbol ORDER BY symbol
    ON CONFLICT (symbol) DO UPDATE SET
        notional = held.notional + excluded.notional,
        volume = held.volume + excluded.volume,
        trades = held.trades + excluded.trades,
        first_us = least(held.first_us, excluded.first_us),
        last_us = greatest(held.last_us, excluded.last_us)
    RETURNING symbol, notional, volume, trades, first_us, last_us
), stale AS (
    INSERT INTO stale_candles (symbol, interval, start_us)
    SELECT DISTINCT symbol, '5m', time_us - time_us % {INTERVALS_US["5m"]} FROM inserted ORDER BY 1, 3
    ON CONFLICT (symbol, interval, start_us) DO UPDATE SET interval = excluded.interval
)
SELECT * FROM summed
"""


async def store(connection: Connection, trades: Sequence[Trade]) -> list[Vwap]:
    """Store what is new among the trades; the new averages of the markets that changed.

    Prices and sizes travel as text, which is as exact as the driver's binary form and costs half as much.
    The no-op update of a stale candle that is being rebuilt right now waits for that to end, then inserts it anew:
    so a trade that came too late for the rebuild is never forgotten.
    """
    rows = await connection.fetch(
        _STORE,
        [trade.exchange for trade in trades],
        [trade.symbol for trade in trades],
        [trade.id for trade in trades],
        [str(trade.price) for trade in trades],
        [str(trade.size) for trade in trades],
        [trade.time_us for trade in trades],
    )
    return [_vwap(row) for row in rows]


async def symbols(connection: Connection) -> list[str]:
    """All markets, sorted."""
    return sorted(row["symbol"] for row in await connection.fetch("SELECT symbol FROM symbols"))


async def vwap(connection: Connection, symbol: str) -> Vwap | None:
    """The average over all trades held of a market; None if there are none."""
    row = await connection.fetchrow("SELECT * FROM symbols WHERE symbol = $1", symbol)
    return None if row is None else _vwap(row)


def _vwap(row: Any) -> Vwap:
    return Vwap(
        symbol=row["symbol"],
        vwap=ratio(row["notional"], row["volume"]),
        volume=row["volume"],
        trades=row["trades"],
        from_us=row["first_us"],
        to_us=row["last_us"],
    )


async def candles(connection: Connection, symbol: str, interval: str, limit: int) -> list[Candle]:
    """The latest candles of a market, oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM candles WHERE symbol = $1 AND interval = $2 ORDER BY start_us DESC LIMIT $3",
        symbol,
        interval,
        limit,
    )
    return [_candle(row) for row in reversed(rows)]


def _candle(row: Any) -> Candle:
    return Candle(
        symbol=row["symbol"],
        interval=row["interval"],
        start_us=row["start_us"],
        open=row["open"],
        high=row["high"],
        low=row["low"],
        close=row["close"],
        volume=row["volume"],
        vwap=ratio(row["notional"], row["volume"]),
        trades=row["trades"],
    )


async def stale_symbols(connection: Connection, interval: str) -> list[str]:
    """Markets with candles to compute again."""
    rows = await connection.fetch("SELECT DISTINCT symbol FROM stale_candles WHERE interval = $1", interval)
    return sorted(row["symbol"] for row in rows)


async def rebuild(connection: Connection, symbol: str, interval: str) -> int:
    """Compute the stale candles of a market again, inside the caller's transaction; how many.

    Candles another worker has taken are skipped. What changed in a candle makes its parent (5m, 1h, 1d) stale.
    """
    rows = await connection.fetch(
        "SELECT start_us FROM stale_candles WHERE symbol = $1 AND interval = $2 "
        "ORDER BY start_us LIMIT $3 FOR UPDATE SKIP LOCKED",
        symbol,
        interval,
        MAX_REBUILT,
    )
    starts = [row["start_us"] for row in rows]
    for start in starts:
        end = start + INTERVALS_US[interval]
        if interval == "5m":
            await _from_trades(connection, symbol, start, end)
        else:
            await connection.execute(_FROM_CANDLES, symbol, interval, start, end, CHILD[interval])
    await connection.execute(
        "DELETE FROM stale_candles WHERE symbol = $1 AND interval = $2 AND start_us = ANY($3)", symbol, interval, starts
    )
    if starts and interval in PARENT:
        width = INTERVALS_US[PARENT[interval]]
        await connection.execute(
            "INSERT INTO stale_candles SELECT $1, $2, s FROM unnest($3::bigint[]) AS s ORDER BY s "
            "ON CONFLICT (symbol, interval, start_us) DO UPDATE SET interval = excluded.interval",
            symbol,
            PARENT[interval],
            sorted({start - start % width for start in starts}),
        )
    return len(starts)


_PUT: Final = """
INSERT INTO candles (symbol, interval, start_us, open, high, low, close, volume, notional, trades)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (symbol, interval, start_us) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume, notional = excluded.notional, trades = excluded.trades
"""
_SUMS: Final = """
SELECT max(price) AS high, min(price) AS low, sum(size) AS volume, sum(price * size) AS notional, count(*) AS trades,
       min(time_us) AS first_us, max(time_us) AS last_us
FROM trades WHERE symbol = $1 AND time_us >= $2 AND time_us < $3
"""
_AT: Final = "SELECT * FROM trades WHERE symbol = $1 AND time_us = ANY($2)"
_FROM_CANDLES: Final = """
INSERT INTO candles (symbol, interval, start_us, open, high, low, close, volume, notional, trades)
SELECT $1, $2, $3, (array_agg(open ORDER BY start_us))[1], max(high), min(low),
       (array_agg(close ORDER BY start_us DESC))[1], sum(volume), sum(notional), sum(trades)
FROM candles WHERE symbol = $1 AND interval = $5 AND start_us >= $3 AND start_us < $4
ON CONFLICT (symbol, interval, start_us) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume, notional = excluded.notional, trades = excluded.trades
"""


async def _from_trades(connection: Connection, symbol: str, start: int, end: int) -> None:
    sums = await connection.fetchrow(_SUMS, symbol, start, end)
    # Several trades may share the first or the last microsecond: which one opens and closes is `order_key`'s to say.
    edge = await connection.fetch(_AT, symbol, [sums["first_us"], sums["last_us"]])
    ordered = sorted((_trade(row) for row in edge), key=order_key)
    opened: Decimal = ordered[0].price
    await connection.execute(
        _PUT, symbol, "5m", start, opened, sums["high"], sums["low"], ordered[-1].price,
        sums["volume"], sums["notional"], sums["trades"],
    )  # fmt: skip


def _trade(row: Any) -> Trade:
    return Trade(row["exchange"], row["symbol"], row["id"], row["price"], row["size"], row["time_us"])
