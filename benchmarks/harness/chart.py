"""One picture per group: how many times as good as its yardstick each figure is. Needs pygal."""

import importlib
import importlib.util
from pathlib import Path
from typing import Final

from benchmarks.harness.row import Group

AVAILABLE: Final = importlib.util.find_spec("pygal") is not None
LINEAR_TO: Final = 6.0  # beyond, the scale is logarithmic
TICKS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
MISSING: Final = "No charts: pygal is not installed (dependency group `bench`)."


def draw(group: Group, folder: Path) -> str | None:
    """The file's name; None if there is nothing to compare."""
    rows = [row for row in group.rows if row.factor is not None]
    if not rows or not AVAILABLE:
        return None
    pygal = importlib.import_module("pygal")
    labels = [f"{row.name} (to {row.peer or 'its target'})" for row in rows]
    best = max(row.factor or 0 for row in rows)
    scale = {"logarithmic": True, "zero": 0.1, "range": (0.1, best), "y_labels": [t for t in TICKS if t <= best]}
    chart = pygal.HorizontalBar(
        title=f"{group.title}: times as good as the yardstick (1 = equal)",
        style=pygal.style.CleanStyle(
            colors=("#2a6f97",), font_family="sans-serif", label_font_size=11, title_font_size=14, value_font_size=11
        ),
        width=1000, height=130 + 32 * len(rows), show_legend=False, print_values=True, truncate_label=-1, js=(),
        no_prefix=True, value_formatter=lambda value: f"{value:.2f}" if value < 10 else f"{value:.0f}",
        **(scale if best > LINEAR_TO else {"range": (0, max(best, 1.0))}),
    )  # fmt: skip
    chart.x_labels = list(reversed(labels))
    chart.add("", [row.factor for row in reversed(rows)])
    name = f"{group.name}.svg"
    chart.render_to_file(str(folder / name))
    return name
