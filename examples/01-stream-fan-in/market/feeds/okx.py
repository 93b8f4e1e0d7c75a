"""OKX: channel `trades`, every element of `data`.

Source: okx.com/docs-v5, "Trades channel" and "Connect": the text `ping` within 30 seconds, answered by `pong`.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from market.feeds.exchange import Exchange, Layout, Row, chunks, field, request, rows
from market.symbols import native
from market.times import MILLIS

MAX_ARGS_PER_REQUEST: Final = 100
TRADE: Final = Layout(id="tradeId", price="px", size="sz", time="ts", unit=MILLIS)


def find(message: object) -> Iterator[Row]:
    if field(field(message, "arg"), "channel") == "trades" and isinstance(message, dict) and "data" in message:
        yield from rows(message["data"], TRADE, lambda row: field(row, "instId"))


def subscribe(symbols: Sequence[str]) -> list[str]:
    names = [native("okx", symbol) for symbol in symbols]
    return [
        request({"op": "subscribe", "args": [{"channel": "trades", "instId": name} for name in part]})
        for part in chunks(names, MAX_ARGS_PER_REQUEST)
    ]


OKX: Final = Exchange("okx", "wss://ws.okx.com:8443/ws/v5/public", find, subscribe, heartbeat="ping", heartbeat_s=25.0)
