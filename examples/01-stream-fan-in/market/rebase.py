"""A recorded session as an endless one of today: what `replay --rebase` sends.

The session is laid end to end over wall-clock time, lap after lap. What is sent in a lap is a function of the
recording and the lap's number and of nothing else. So a replay that is restarted, or asked twice for the same past,
sends the very same trades, and a market that recognises repetitions stays right.

Three things differ from the recording, which is why such a feed must be called a local replay: times move to the
lap's, identities are made unique to it, and prices drift a little from lap to lap, lest all candles look alike.
Only the fields that make a trade are rewritten.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from math import ceil
from typing import Any, Final

import msgspec

from market.decimals import decode, number
from market.feeds import EXCHANGES
from market.feeds.exchange import Row, field
from market.recordings import Session
from market.times import Unit
from market.trades import Trade

MAX_TRADES_PER_LAP: Final = 1_000_000
_SWINGS: Final = ((37, 40), (101, 110), (411, 250))  # (laps to and fro, hundredths of a percent)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_ROUNDING: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Timed:
    """A frame and the Unix time, in seconds, at which it is due. `trades`: whether it holds any."""

    due: float
    frame: str
    trades: bool


class Timeline:
    """One exchange's session, repeated over all time. Positions are (lap, index of the frame)."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lap_s = max(1, ceil(session.duration_s + 0.5))
        self._exchange = EXCHANGES[session.exchange]
        self._start = session.frames[0].t
        self._numbers: dict[tuple[str, str], int] = {}
        self._has_trades = [self._number_trades(recorded.frame) for recorded in session.frames]

    def since(self, moment: float) -> Iterator[Timed]:
        """Every frame due at or after a Unix time, for ever."""
        lap = int(moment // self.lap_s)
        while True:
            yield from (timed for timed in self.lap(lap) if timed.due >= moment)
            lap += 1

    def lap(self, lap: int) -> Iterator[Timed]:
        """The frames of one lap."""
        factor = drift(lap)
        for recorded, has_trades in zip(self.session.frames, self._has_trades, strict=True):
            frame = self._rewritten(recorded.frame, lap, factor) if has_trades else recorded.frame
            yield Timed(lap * self.lap_s + recorded.t - self._start, frame, has_trades)

    def _number_trades(self, frame: str) -> bool:
        trades = self._exchange.parse(frame)
        for trade in trades:
            self._numbers.setdefault((trade.symbol, trade.id), len(self._numbers))
        return bool(trades)

    def _rewritten(self, frame: str, lap: int, factor: Decimal) -> str:
        message = decode(frame)
        for row in self._exchange.find(message):
            trade = self._exchange.trade(row)
            if isinstance(trade, Trade):
                self._rewrite(row, trade, lap, factor)
        return _ENCODER.encode(message).decode()

    def _rewrite(self, row: Row, trade: Trade, lap: int, factor: Decimal) -> None:
        layout = row.layout
        shift_us = lap * self.lap_s * 1_000_000 - int(self._start * 1_000_000)
        _set(row.value, layout.time, _moved(field(row.value, layout.time), trade.time_us + shift_us, layout.unit))
        _set(row.value, layout.price, _drifted(trade.price, field(row.value, layout.price), factor))
        if layout.id is not None:
            given, unique = (
                field(row.value, layout.id),
                lap * MAX_TRADES_PER_LAP + self._numbers[trade.symbol, trade.id],
            )
            _set(row.value, layout.id, unique if isinstance(given, int) else str(unique))


def drift(lap: int) -> Decimal:
    """The factor on prices in a lap: a few slow triangular swings, 4 % at most in all."""
    hundredths = sum(size * abs((lap % (2 * period)) - period) / period - size / 2 for period, size in _SWINGS)
    return 1 + Decimal(round(hundredths)) / 10_000


def _drifted(price: Decimal, stated: object, factor: Decimal) -> object:
    drifted = _ROUNDING.multiply(price, factor).quantize(price, context=_ROUNDING) or price
    return f"{drifted:f}" if isinstance(stated, str) else drifted


def _moved(value: object, time_us: int, unit: Unit) -> object:
    written = unit.write(time_us)
    return written if isinstance(value, str) else number(written)


def _set(row: Any, key: str | int, value: object) -> None:
    row[key] = value
