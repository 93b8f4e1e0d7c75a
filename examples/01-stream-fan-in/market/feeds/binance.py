"""Binance: `aggTrade` (fills of one order at one price, together) and `trade`, bare or in the combined-stream wrapper.

Source: developers.binance.com, "WebSocket Streams". Binance pings by itself and wants at most 5 requests a second.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from market.feeds.exchange import Exchange, Layout, Row, chunks, field, request
from market.symbols import native
from market.times import MILLIS

MAX_STREAMS_PER_REQUEST: Final = 200
AGGREGATED: Final = Layout(id="a", price="p", size="q", time="T", unit=MILLIS)
SINGLE: Final = Layout(id="t", price="p", size="q", time="T", unit=MILLIS)


def find(message: object) -> Iterator[Row]:
    data = field(message, "data") if isinstance(message, dict) and "data" in message else message
    match field(data, "e"):
        case "aggTrade":
            yield Row(data, AGGREGATED, field(data, "s"))
        case "trade":
            yield Row(data, SINGLE, field(data, "s"))


def subscribe(symbols: Sequence[str]) -> list[str]:
    streams = [f"{native('binance', symbol)}@aggTrade" for symbol in symbols]
    return [
        request({"method": "SUBSCRIBE", "params": part, "id": number})
        for number, part in enumerate(chunks(streams, MAX_STREAMS_PER_REQUEST), start=1)
    ]


BINANCE: Final = Exchange("binance", "wss://stream.binance.com:9443/stream", find, subscribe)
