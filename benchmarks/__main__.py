"""`python -m benchmarks [names] [--quick]`.

Every case runs in a process of its own. The results are written to `benchmarks/results/` (with --quick to its folder
`quick`, for they say only that the scripts work): latest.json, README.md and a chart per group. A case that was not
asked for keeps what it found last time. Exit code 1 if a case failed; a target that is not met is no failure.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.harness import chart, report
from benchmarks.harness.row import Group
from benchmarks.harness.runner import compile_sources, run_case

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results"
DOCUMENT: Final = HERE.parent / "docs" / "performance.md"
CASES: Final = {  # name: (title, seconds after which it is ended)
    "rpc": ("Calls between two processes", 300),
    "pool": ("A pool of workers", 300),
    "http": ("HTTP", 240),
    "start": ("Start of 20 commands", 180),
    "crash": ("Crash to replacement", 180),
    "idle": ("Idle cost", 120),
    "adopt": ("The daemon killed", 180),
    "reload": ("Reload under load", 300),
    "logs": ("Log throughput", 180),
    "cli": ("Command line", 120),
    "streams": ("Redis streams", 600),
    "market": ("Market, from tick to Postgres", 300),
}


def read(folder: Path) -> dict[str, Group]:
    try:
        groups = msgspec.json.decode((folder / "latest.json").read_bytes(), type=list[Group])
    except FileNotFoundError:
        return {}
    return {group.name: group for group in groups}


def write(folder: Path, found: dict[str, Group]) -> list[Group]:
    groups = [found[name] for name in CASES if name in found]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_bytes(msgspec.json.format(msgspec.json.encode(groups), indent=1) + b"\n")
    charts = {group.name: name for group in groups if (name := chart.draw(group, folder)) is not None}
    (folder / "README.md").write_text(report.page(groups, charts, "" if chart.AVAILABLE else chart.MISSING))
    return groups


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="only to see that the scripts work")
    args = parser.parse_args()
    if unknown := set(args.names) - set(CASES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    if not chart.AVAILABLE:
        print(chart.MISSING)
    compile_sources()
    folder = RESULTS / "quick" if args.quick else RESULTS
    names, found = args.names or list(CASES), read(folder)
    for name in names:
        title, limit_s = CASES[name]
        found[name] = run_case(name, title, limit_s=limit_s, quick=args.quick)
        print(report.table(found[name], None), flush=True)
        groups = write(folder, found)
    if not args.quick:
        report.write_into(DOCUMENT, groups)
    print(report.verdict(groups))
    return 1 if any(found[name].failed for name in names) else 0


if __name__ == "__main__":
    sys.exit(main())
