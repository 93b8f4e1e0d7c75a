"""What an exchange adapter states, and the one reader that turns its frames into trades.

An adapter is data and three small functions: where the trades are in a message (`find`), what to send after
connecting (`subscribe`), and how a row is laid out (`Layout`). The reader does the rest for all of them, so that every
exchange gets the same care: frames come from strangers, and none may raise. What is no trade is noise and ignored;
what claims to be a trade and can not be one is *rejected*, with a reason worth counting.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

import msgspec

from market.decimals import decode, number
from market.symbols import MAX_SYMBOL_LEN, normalize
from market.times import Unit
from market.trades import Trade

MAX_ID_LEN: Final = 128
MAX_DETAIL_LEN: Final = 120
KEEP_ALIVE_TEXTS: Final = frozenset({"ping", "pong", b"ping", b"pong"})

Reason = Literal["not JSON", "shape", "symbol", "identity", "price", "size", "time"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a row keeps its values: keys of an object, or indices of an array. `id` None: the row has no identity."""

    id: str | None
    price: str | int
    size: str | int
    time: str | int
    unit: Unit


@dataclass(frozen=True, slots=True)
class Row:
    """One element of a message that claims to be a trade. `value` is whatever stood there.

    position: its index in the frame, part of the identity where the exchange gives none.
    """

    value: object
    layout: Layout
    symbol: object
    position: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange. `url` is its public endpoint; `heartbeat` the frame it wants to hear every `heartbeat_s` seconds."""

    name: str
    url: str
    find: Callable[[object], Iterable[Row]]
    subscribe: Callable[[Sequence[str]], list[str]]
    heartbeat: str | None = None
    heartbeat_s: float = 20.0

    def read(self, frame: str | bytes) -> "Reading":
        """The trades of a frame and what had to be rejected. Never raises, whatever the frame holds."""
        if frame in KEEP_ALIVE_TEXTS:
            return Reading((), ())
        try:
            message = decode(frame)
        except ValueError as error:
            return Reading((), (Rejected("not JSON", str(error)[:MAX_DETAIL_LEN]),))
        results = [self.trade(row) for row in self.find(message)]
        return Reading(
            tuple(result for result in results if isinstance(result, Trade)),
            tuple(result for result in results if isinstance(result, Rejected)),
        )

    def parse(self, frame: str | bytes) -> list[Trade]:
        """The trades of a frame; what is rejected is left out."""
        return list(self.read(frame).trades)

    def trade(self, row: Row) -> "Trade | Rejected":
        """The row as a trade, or why it is none."""
        if not isinstance(row.value, dict | list):
            return _rejected("shape", row.value)
        layout = row.layout
        raw_price, raw_size = field(row.value, layout.price), field(row.value, layout.size)
        raw_time = field(row.value, layout.time)
        price, size, time_us = _positive(raw_price), _positive(raw_size), layout.unit.read(raw_time)
        if layout.id is None:
            trade_id = _identity(f"{raw_time}:{raw_price}:{raw_size}:{row.position}")
        else:
            trade_id = _identity(field(row.value, layout.id))
        if not isinstance(row.symbol, str) or not _printable(row.symbol, MAX_SYMBOL_LEN):
            return _rejected("symbol", row.symbol)
        if price is None:
            return _rejected("price", raw_price)
        if size is None:
            return _rejected("size", raw_size)
        if time_us is None:
            return _rejected("time", raw_time)
        if trade_id is None:
            return _rejected("identity", row.value)
        return Trade(self.name, normalize(self.name, row.symbol), trade_id, price, size, time_us)


class Rejected(msgspec.Struct, frozen=True):
    """Something that claimed to be a trade. `detail` shows the value, shortened."""

    reason: Reason
    detail: str


class Reading(msgspec.Struct, frozen=True):
    """What one frame held."""

    trades: tuple[Trade, ...]
    rejected: tuple[Rejected, ...]


def field(row: object, key: str | int) -> object:
    """The value under the key of an object or the index of an array; None if there is none."""
    if isinstance(row, dict):
        return row.get(key)
    if isinstance(row, list) and isinstance(key, int) and key < len(row):
        return row[key]
    return None


def rows(values: object, layout: Layout, symbol: str | Callable[[object], object]) -> Iterator[Row]:
    """A row for each element of an array; what should be an array and is not makes one row, to be rejected."""
    for position, value in enumerate(values if isinstance(values, list) else [None]):
        yield Row(value, layout, symbol if isinstance(symbol, str) else symbol(value), position)


def chunks(values: Sequence[str], size: int) -> Iterator[list[str]]:
    """The values in lists of at most `size`: exchanges limit how much one request may ask for."""
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def request(message: object) -> str:
    """A message as the text frame to send."""
    return msgspec.json.encode(message).decode()


def _positive(value: object) -> Decimal | None:
    stated = number(value)
    return stated if stated is not None and stated > 0 else None


def _identity(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and _printable(value, MAX_ID_LEN) else None


def _printable(text: str, max_len: int) -> bool:
    return 0 < len(text) <= max_len and text.isprintable() and not text.isspace()


def _rejected(reason: Reason, value: object) -> Rejected:
    return Rejected(reason, repr(value)[:MAX_DETAIL_LEN])
