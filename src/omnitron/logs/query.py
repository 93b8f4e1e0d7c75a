"""Which records somebody wants to see. Pure."""

import re

import msgspec

from omnitron.base.errors import OperationError
from omnitron.logs.record import LEVELS, Record, known_level


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """level: at least this one. pattern: regular expression, searched in the message and the values of the fields.

    slots: empty for all. since, until: Unix seconds, the latter exclusive.
    """

    level: str | None = None
    pattern: str | None = None
    processes: tuple[str, ...] = ()
    slots: tuple[int, ...] = ()
    since: float | None = None
    until: float | None = None


class Matcher:
    """A query made ready. Raises OperationError for a level or a regular expression that is none."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self._least = _rank(query.level) if query.level else 0
        try:
            self._pattern = re.compile(query.pattern) if query.pattern else None
        except re.error as error:
            raise OperationError(
                f"The pattern {query.pattern!r} is not a regular expression: {error}.",
                remedy="Put a backslash before characters meant literally.",
            ) from None

    def matches(self, record: Record) -> bool:
        query = self.query
        return (
            (not query.processes or record.process in query.processes)
            and (not query.slots or record.slot in query.slots)
            and (query.since is None or record.time >= query.since)
            and (query.until is None or record.time < query.until)
            and (not self._least or LEVELS.index(known_level(record.level) or "info") >= self._least)
            and (self._pattern is None or self._found(self._pattern, record))
        )

    @staticmethod
    def _found(pattern: re.Pattern[str], record: Record) -> bool:
        return bool(pattern.search(record.msg)) or any(pattern.search(str(value)) for value in record.fields.values())


def _rank(level: str) -> int:
    known = known_level(level)
    if known is None:
        raise OperationError(f"{level!r} is not a level.", remedy=f"Use one of {', '.join(LEVELS)}.")
    return LEVELS.index(known)
