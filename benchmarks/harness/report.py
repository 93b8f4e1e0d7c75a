"""Tables in Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.harness.row import Group, Row, show

BEGIN: Final = "<!-- results: written by `make bench` -->"
END: Final = "<!-- end of results -->"
HEAD: Final = "| | ours | p95 | yardstick | its figure | ratio | target | |\n|---|---:|---:|---|---:|---:|---:|---|"


def table(group: Group, chart: str | None) -> str:
    """A section for the group; chart: the link to its picture."""
    lines = [f"### {group.title}", ""]
    if group.failed:
        lines += ["**Failed**, nothing was measured:", "", "```", group.failed, "```"]
    else:
        lines += [HEAD, *(_line(row) for row in group.rows), ""]
        lines += [f"* {row.name}: {row.note}" for row in group.rows if row.note]
        lines += [""] if any(row.note for row in group.rows) else []
    lines += [
        f"{group.date} UTC, {group.seconds:.0f} s, commit {group.machine.get('commit', '?')}; load average "
        f"{group.load_before:.1f} before and {group.load_after:.1f} after, others used {group.busy:.0%} of the machine "
        f"just before; priority {group.machine.get('priority', 'normal')}."
    ]
    return "\n".join([*lines, *(["", f"![{group.title}]({chart})"] if chart else []), ""])


def _line(row: Row) -> str:
    cells = [
        row.name,
        f"{show(row.value)} {row.unit}",
        show(row.p95) if row.p95 is not None else "",
        row.peer,
        show(row.peer_value) if row.peer_value is not None else "",
        show(row.ratio) if row.ratio is not None else "",
        row.target,
        {True: "met", False: "**not met**", None: ""}[row.met],
    ]
    return f"| {' | '.join(cells)} |"


def verdict(groups: Sequence[Group]) -> str:
    """One paragraph: how many targets are met, and which are not."""
    rows = [(group, row) for group in groups for row in group.rows if row.met is not None]
    missed = [f"{group.name}: {row.name} ({_found(row)})" for group, row in rows if not row.met]
    text = f"{len(rows) - len(missed)} of {len(rows)} targets met."
    failed = [group.name for group in groups if group.failed]
    text += f" Not met: {'; '.join(missed)}." if missed else ""
    return text + (f" Failed, so not measured: {', '.join(failed)}." if failed else "")


def _found(row: Row) -> str:
    beside = f", {show(row.ratio)} × {row.peer}" if row.ratio is not None else ""
    return f"{show(row.value)} {row.unit}{beside}; wanted {row.target}"


def machine(groups: Sequence[Group]) -> str:
    found = groups[-1].machine if groups else {}
    versions = ", ".join(
        f"{name} {value}" for name, value in found.items() if name not in ("cpu", "commit", "priority")
    )
    return f"{found.get('cpu', '')}, {versions}."


def page(groups: Sequence[Group], charts: dict[str, str], note: str) -> str:
    """The whole of results/README.md. charts: group to file name."""
    parts = [
        "# Results",
        "",
        "Written by `make bench`; how to read it: [docs/performance.md](../../docs/performance.md).",
        "",
    ]
    parts += [verdict(groups), "", machine(groups), "", *([note, ""] if note else [])]
    return "\n".join(parts) + "\n" + "\n".join(table(group, charts.get(group.name)) for group in groups)


def write_into(document: Path, groups: Sequence[Group]) -> None:
    """Replace what stands between the marks."""
    before, _, rest = document.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    text = "\n".join([verdict(groups), "", machine(groups), "", *(table(group, None) for group in groups)])
    document.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
