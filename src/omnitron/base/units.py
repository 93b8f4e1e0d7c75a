"""Durations and sizes as people write them: "15s", "500ms", "10GiB"."""

import re
from datetime import timedelta
from typing import Final

from omnitron.base.errors import DefinitionError

Duration = float | int | str | timedelta
Size = int | str

_DURATION: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE: Final = {
    "": 1, "b": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def seconds(value: Duration, *, what: str = "duration") -> float:
    """Seconds of `15`, `1.5`, `timedelta(...)`, "15s", "1h30m" or "250ms"; never negative."""
    if isinstance(value, timedelta):
        result = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        result = float(value)
    elif isinstance(value, str):
        result = _sum_parts(value, _DURATION, what, 'Write seconds as a number, or text like "15s", "500ms", "1h30m".')
    else:
        raise DefinitionError(f"The {what} {value!r} is not a duration.", remedy='Write seconds or text like "15s".')
    if not 0 <= result < float("inf"):
        raise DefinitionError(f"The {what} {value!r} is not between zero and infinity.")
    return result


def size(value: Size, *, what: str = "size") -> int:
    """Bytes of `1024`, "64KiB", "10GiB" or "1.5MB" (KiB is 1024, kB is 1000); never negative."""
    if isinstance(value, int) and not isinstance(value, bool):
        result = value
    elif isinstance(value, str):
        result = int(_sum_parts(value, _SIZE, what, 'Write bytes as a number, or text like "64KiB", "10GiB".'))
    else:
        raise DefinitionError(f"The {what} {value!r} is not a size.", remedy='Write bytes or text like "10GiB".')
    if result < 0:
        raise DefinitionError(f"The {what} {value!r} is negative.")
    return result


def _sum_parts(text: str, table: dict[str, float] | dict[str, int], what: str, remedy: str) -> float:
    total, end = 0.0, 0
    for match in _PART.finditer(text.strip()):
        unit = match[2] if match[2] in table else match[2].lower()
        if match.start() != end or unit not in table or (unit == "" and match.end() != len(text.strip())):
            break
        total, end = total + float(match[1]) * table[unit], match.end()
    if end == 0 or end != len(text.strip()):
        raise DefinitionError(f"The {what} {text!r} can not be read.", remedy=remedy)
    return total


def show_seconds(value: float) -> str:
    """A duration for people: "350ms", "12s", "3m 05s", "2h 10m", "4d 03h"."""
    if value < 1:
        return f"{value * 1000:.0f}ms"
    if value < 60:
        return f"{value:.0f}s"
    minutes, secs = divmod(int(value), 60)
    if minutes < 60:
        return f"{minutes}m {secs:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours:02d}h"


def show_size(value: float) -> str:
    """A size for people: "512B", "1.5MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f}{unit}" if unit == "B" or value >= 100 else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}TiB"
