"""Bitstamp: event `trade` on channels `live_trades_*`; the market's name is in the channel only.

Prices and amounts come twice, as numbers and as text; the text has all the digits.
Source: bitstamp.net/websocket/v2.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from market.feeds.exchange import Exchange, Layout, Row, field, request
from market.symbols import native
from market.times import MICROS

CHANNEL: Final = "live_trades_"
TRADE: Final = Layout(id="id", price="price_str", size="amount_str", time="microtimestamp", unit=MICROS)


def find(message: object) -> Iterator[Row]:
    channel = field(message, "channel")
    if field(message, "event") == "trade" and isinstance(channel, str) and channel.startswith(CHANNEL):
        yield Row(field(message, "data"), TRADE, channel.removeprefix(CHANNEL))


def subscribe(symbols: Sequence[str]) -> list[str]:
    return [
        request({"event": "bts:subscribe", "data": {"channel": CHANNEL + native("bitstamp", symbol)}})
        for symbol in symbols
    ]


BITSTAMP: Final = Exchange(
    "bitstamp", "wss://ws.bitstamp.net", find, subscribe, heartbeat=request({"event": "bts:heartbeat"})
)
