"""`python -m benchmarks.harness.case NAME OUT [--quick]`: the process of one case."""

import importlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

NICE: Final = -10  # ours and the peers' alike; root only. Neighbours are then felt less, though not gone


def main() -> None:
    with suppress(PermissionError):
        os.nice(NICE)
    name, out = sys.argv[1:3]
    rows = importlib.import_module(f"benchmarks.cases.{name}").run("--quick" in sys.argv)
    Path(out).write_bytes(msgspec.json.encode(rows))


if __name__ == "__main__":
    main()
