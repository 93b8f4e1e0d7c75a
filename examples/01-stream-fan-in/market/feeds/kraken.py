"""Kraken: arrays `[channel, [[price, volume, time, side, type, misc], ...], "trade", pair]`.

A trade has no identifier here: time, price, volume and its position in the frame identify it.
Source: docs.kraken.com/api, "WebSocket v1, Trade" and "Ping". Times are decimal seconds.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from market.feeds.exchange import Exchange, Layout, Row, chunks, request, rows
from market.symbols import native
from market.times import SECONDS

MAX_PAIRS_PER_REQUEST: Final = 100
TRADE: Final = Layout(id=None, price=0, size=1, time=2, unit=SECONDS)


def find(message: object) -> Iterator[Row]:
    match message:
        case [_, values, "trade", pair]:
            yield from rows(values, TRADE, lambda _: pair)


def subscribe(symbols: Sequence[str]) -> list[str]:
    pairs = [native("kraken", symbol) for symbol in symbols]
    return [
        request({"event": "subscribe", "pair": part, "subscription": {"name": "trade"}})
        for part in chunks(pairs, MAX_PAIRS_PER_REQUEST)
    ]


KRAKEN: Final = Exchange(
    "kraken", "wss://ws.kraken.com", find, subscribe, heartbeat=request({"event": "ping"}), heartbeat_s=30.0
)
