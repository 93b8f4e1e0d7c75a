"""Coinbase: `match`, and `last_match`, the latest trade from before the subscription.

Source: docs.cdp.coinbase.com/exchange, "WebSocket Channels". The `heartbeat` channel keeps quiet markets connected.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from market.feeds.exchange import Exchange, Layout, Row, chunks, field, request
from market.symbols import native
from market.times import ISO

MAX_PRODUCTS_PER_REQUEST: Final = 100
MATCH: Final = Layout(id="trade_id", price="price", size="size", time="time", unit=ISO)


def find(message: object) -> Iterator[Row]:
    if field(message, "type") in ("match", "last_match"):
        yield Row(message, MATCH, field(message, "product_id"))


def subscribe(symbols: Sequence[str]) -> list[str]:
    products = [native("coinbase", symbol) for symbol in symbols]
    return [
        request({"type": "subscribe", "product_ids": part, "channels": ["matches", "heartbeat"]})
        for part in chunks(products, MAX_PRODUCTS_PER_REQUEST)
    ]


COINBASE: Final = Exchange("coinbase", "wss://ws-feed.exchange.coinbase.com", find, subscribe)
