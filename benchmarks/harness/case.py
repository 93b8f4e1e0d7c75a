"""`python -m benchmarks.harness.case NAME OUT [--quick]`: the process of one case."""

import importlib
import sys
from pathlib import Path

import msgspec


def main() -> None:
    name, out = sys.argv[1:3]
    rows = importlib.import_module(f"benchmarks.cases.{name}").run("--quick" in sys.argv)
    Path(out).write_bytes(msgspec.json.encode(rows))


if __name__ == "__main__":
    main()
