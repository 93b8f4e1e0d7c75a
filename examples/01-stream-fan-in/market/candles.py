"""Candles and averages of trades, exactly.

`Totals` is all a candle needs to know, and two of them merge in any order to the same result. So a candle can be kept
up to date trade by trade, late ones included, or be computed from all its trades at once: the results are equal.
What does not merge is repetition: leave it out first (`trades.unique`, or a unique key in a database).
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from market.decimals import EXACT, plain, ratio
from market.times import show_iso
from market.trades import Trade, order_key, unique
from omnitron.base.errors import InvalidArguments

INTERVALS_US: Final = {"5m": 300_000_000, "1h": 3_600_000_000, "1d": 86_400_000_000}


class Totals(msgspec.Struct, frozen=True):
    """What a set of trades comes to. notional: the sum of price x size."""

    first: Trade
    last: Trade
    high: Decimal
    low: Decimal
    volume: Decimal
    notional: Decimal
    trades: int

    def merge(self, other: "Totals") -> "Totals":
        """The totals of both sets, which must have no trade in common."""
        return Totals(
            first=min(self.first, other.first, key=order_key),
            last=max(self.last, other.last, key=order_key),
            high=max(self.high, other.high),
            low=min(self.low, other.low),
            volume=EXACT.add(self.volume, other.volume),
            notional=EXACT.add(self.notional, other.notional),
            trades=self.trades + other.trades,
        )


class Candle(msgspec.Struct, frozen=True):
    """One market over one interval, [start, start + interval) in UTC; served as `candle_json`."""

    symbol: str
    interval: str
    start_us: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    vwap: Decimal
    trades: int


class Vwap(msgspec.Struct, frozen=True):
    """The average price of one market, weighted by size, and the time of its first and last trade."""

    symbol: str
    vwap: Decimal
    volume: Decimal
    trades: int
    from_us: int
    to_us: int


def total(trades: Iterable[Trade]) -> Totals | None:
    """The totals of all trades at once, repetitions counted once; None for no trades."""
    held = unique(trades)
    if not held:
        return None
    volume = notional = Decimal(0)
    for trade in held:
        volume = EXACT.add(volume, trade.size)
        notional = EXACT.fma(trade.price, trade.size, notional)
    prices = [trade.price for trade in held]
    first, last = min(held, key=order_key), max(held, key=order_key)
    return Totals(first, last, max(prices), min(prices), volume, notional, len(held))


def total_of(trade: Trade) -> Totals:
    """The totals of a single trade, to be merged."""
    notional = EXACT.multiply(trade.price, trade.size)
    return Totals(trade, trade, trade.price, trade.price, trade.size, notional, 1)


def start_us(time_us: int, interval: str) -> int:
    """Where the candle that covers a moment starts. Errors: InvalidArguments for an unknown interval."""
    if (width := INTERVALS_US.get(interval)) is None:
        raise InvalidArguments(
            f"There are no candles of {interval!r}.", remedy=f"Use one of {', '.join(INTERVALS_US)}."
        )
    return time_us - time_us % width


def candle_of(totals: Totals, interval: str) -> Candle:
    """The candle with these totals, which must be of one market and one interval."""
    return Candle(
        symbol=totals.first.symbol,
        interval=interval,
        start_us=start_us(totals.first.time_us, interval),
        open=totals.first.price,
        high=totals.high,
        low=totals.low,
        close=totals.last.price,
        volume=totals.volume,
        vwap=ratio(totals.notional, totals.volume),
        trades=totals.trades,
    )


def candles(trades: Iterable[Trade], interval: str) -> list[Candle]:
    """All candles of these trades, by symbol and then oldest first; repetitions count once."""
    buckets: defaultdict[tuple[str, int], list[Trade]] = defaultdict(list)
    for trade in trades:
        buckets[trade.symbol, start_us(trade.time_us, interval)].append(trade)
    totals = (total(buckets[key]) for key in sorted(buckets))
    return [candle_of(each, interval) for each in totals if each is not None]


def vwap_of(totals: Totals) -> Vwap:
    """The average over these totals, which must be of one market."""
    return Vwap(
        symbol=totals.first.symbol,
        vwap=ratio(totals.notional, totals.volume),
        volume=totals.volume,
        trades=totals.trades,
        from_us=totals.first.time_us,
        to_us=totals.last.time_us,
    )


def candle_json(candle: Candle) -> dict[str, str | int]:
    """As `GET /candles/{symbol}` serves it."""
    return {
        "start": show_iso(candle.start_us),
        "open": plain(candle.open),
        "high": plain(candle.high),
        "low": plain(candle.low),
        "close": plain(candle.close),
        "volume": plain(candle.volume),
        "vwap": plain(candle.vwap),
        "trades": candle.trades,
    }


def vwap_json(vwap: Vwap) -> dict[str, str | int]:
    """As `GET /vwap/{symbol}` serves it."""
    return {
        "symbol": vwap.symbol,
        "vwap": plain(vwap.vwap),
        "volume": plain(vwap.volume),
        "trades": vwap.trades,
        "from": show_iso(vwap.from_us),
        "to": show_iso(vwap.to_us),
    }
