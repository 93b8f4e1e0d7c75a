"""Bybit: topics `trade.*` of the older interface and `publicTrade.*` of v5.

Source: bybit-exchange.github.io/docs/v5, "Public Trade" and "Connect": at most 10 topics a request on spot, and a
`ping` every 20 seconds.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from market.feeds.exchange import Exchange, Layout, Row, chunks, field, request, rows
from market.symbols import native
from market.times import MILLIS

MAX_TOPICS_PER_REQUEST: Final = 10
OLDER: Final = Layout(id="trade_id", price="price", size="size", time="trade_time_ms", unit=MILLIS)
V5: Final = Layout(id="i", price="p", size="v", time="T", unit=MILLIS)


def find(message: object) -> Iterator[Row]:
    topic = field(message, "topic")
    if not isinstance(topic, str):
        return
    if topic.startswith("trade."):
        yield from rows(field(message, "data"), OLDER, lambda row: field(row, "symbol"))
    elif topic.startswith("publicTrade."):
        yield from rows(field(message, "data"), V5, lambda row: field(row, "s"))


def subscribe(symbols: Sequence[str]) -> list[str]:
    topics = [f"publicTrade.{native('bybit', symbol)}" for symbol in symbols]
    return [request({"op": "subscribe", "args": part}) for part in chunks(topics, MAX_TOPICS_PER_REQUEST)]


BYBIT: Final = Exchange(
    "bybit", "wss://stream.bybit.com/v5/public/spot", find, subscribe, heartbeat=request({"op": "ping"})
)
