"""Moments as exchanges write them, to and from integer microseconds of Unix time.

Never through a float: 1534614057.321597 seconds have no exact float. What is finer than a microsecond is cut off, not
rounded, so that a trade never moves into the next candle.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from market.decimals import EXACT, number

MAX_TIME_US: Final = 253_402_300_799_999_999  # the last microsecond of the year 9999, where `datetime` ends
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ISO: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,18}))?(?:Z|([+-])([0-9]{2}):?([0-9]{2}))?"
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A way to write a moment. `read` gives microseconds or None; `write` takes microseconds."""

    read: Callable[[object], int | None]
    write: Callable[[int], str]


def _scaled(per_unit: int) -> Callable[[object], int | None]:
    def read(value: object) -> int | None:
        stated = number(value)
        if stated is None:
            return None
        return _plausible(int(EXACT.multiply(stated, Decimal(per_unit)).to_integral_value(ROUND_FLOOR)))

    return read


def _plausible(time_us: int) -> int | None:
    return time_us if 0 < time_us <= MAX_TIME_US else None


def read_iso(value: object) -> int | None:
    """Microseconds of an ISO 8601 moment; one without a zone is UTC."""
    match = _ISO.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    fraction = int((match[7] or "0").ljust(6, "0")[:6])
    ahead = timedelta(hours=int(match[9]), minutes=int(match[10])) if match[8] else timedelta()
    since = moment - EPOCH + (ahead if match[8] == "-" else -ahead)
    return _plausible(since // timedelta(microseconds=1) + fraction)


def show_iso(time_us: int) -> str:
    """`2021-04-17T16:43:30.244075Z`, without a fraction if it is a whole second."""
    moment = EPOCH + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="microseconds" if time_us % 1_000_000 else "seconds").replace("+00:00", "Z")


SECONDS: Final = Unit(_scaled(1_000_000), lambda us: f"{us // 1_000_000}.{us % 1_000_000:06d}")
MILLIS: Final = Unit(_scaled(1000), lambda us: str(us // 1000))
MICROS: Final = Unit(_scaled(1), str)
ISO: Final = Unit(read_iso, show_iso)
