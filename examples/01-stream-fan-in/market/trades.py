"""A trade: one exchange of one amount at one price, with the identity that makes seeing it twice harmless."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

_NUMERIC: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class Trade(msgspec.Struct, frozen=True):
    """exchange: as in `feeds.EXCHANGES`. symbol: `BASE-QUOTE`. id: unique with the two, the exchange's own text.

    price, size: positive, digit for digit as received. time_us: Unix time in microseconds.
    """

    exchange: str
    symbol: str
    id: str
    price: Decimal
    size: Decimal
    time_us: int

    @property
    def identity(self) -> tuple[str, str, str]:
        """Two trades of one identity are one trade."""
        return (self.exchange, self.symbol, self.id)


OrderKey = tuple[int, str, tuple[tuple[int, Decimal, str], ...]]


def order_key(trade: Trade) -> OrderKey:
    """Sorts trades: by time, then exchange, then identity, in which numbers compare as numbers.

    An identity of several parts (Kraken's time:price:volume:position) compares part by part.
    """
    return (trade.time_us, trade.exchange, tuple(_part(part) for part in trade.id.split(":")))


def _part(text: str) -> tuple[int, Decimal, str]:
    return (0, Decimal(text), text) if _NUMERIC.fullmatch(text) else (1, Decimal(0), text)


def unique(trades: Iterable[Trade]) -> list[Trade]:
    """The trades without repetitions: the first of each identity, in their order."""
    first: dict[tuple[str, str, str], Trade] = {}
    for trade in trades:
        first.setdefault(trade.identity, trade)
    return list(first.values())
