"""A figure with its yardsticks."""

from typing import Literal

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table.

    value: ours. p95: of the same measurements, where single ones were taken. peer, peer_value: the floor or another
    tool, measured in the same run, in the same unit. paired: the median of the ratios of pairs measured one right after
    the other, where there are such; it stands for the ratio of the two figures. limit: what the value should not be
    worse than. ratio_limit: what ours / the peer's should not be worse than. note: what one must know to read it.
    """

    name: str
    value: float
    unit: str
    better: Literal["lower", "higher"] = "lower"
    p95: float | None = None
    peer: str = ""
    peer_value: float | None = None
    paired: float | None = None
    limit: float | None = None
    ratio_limit: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours / the peer's."""
        if self.paired is not None:
            return self.paired
        return self.value / self.peer_value if self.peer_value else None

    @property
    def target(self) -> str:
        sign = "≤" if self.better == "lower" else "≥"
        parts = [f"{sign} {show(self.limit)} {self.unit}"] if self.limit is not None else []
        parts += [f"{sign} {self.ratio_limit:g} ×"] if self.ratio_limit is not None else []
        return " and ".join(parts)

    @property
    def met(self) -> bool | None:
        """None without a target."""
        pairs = [(self.value, self.limit), (self.ratio, self.ratio_limit)]
        judged = [(found, wanted) for found, wanted in pairs if found is not None and wanted is not None]
        if not judged:
            return None
        return all(found <= wanted if self.better == "lower" else found >= wanted for found, wanted in judged)

    @property
    def factor(self) -> float | None:
        """How many times as good as the yardstick, the peer or else the target; 1 is equal."""
        ratio = self.ratio if self.peer_value is not None else self.value / self.limit if self.limit else None
        if not ratio:
            return None
        return 1 / ratio if self.better == "lower" else ratio


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What one case found, and under which circumstances.

    busy: share of the machine others used just before; load_before, load_after: the 1-minute load average. failed: why
    there are no rows.
    """

    name: str
    title: str
    rows: tuple[Row, ...] = ()
    date: str = ""
    seconds: float = 0.0
    busy: float = 0.0
    load_before: float = 0.0
    load_after: float = 0.0
    failed: str = ""
    machine: dict[str, str] = {}


def show(value: float) -> str:
    """Three significant digits, thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3g}"
