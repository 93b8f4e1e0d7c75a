"""`make demo`: the market on real Postgres and Redis, fed by a local replay, until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
HOME = Path(os.environ.get("OMNITRON_HOME") or Path(tempfile.gettempdir()) / f"omnitron-demo-{os.getuid()}")
OMNITRON = [sys.executable, "-m", "omnitron"]
URL = "http://127.0.0.1:3003"
CANDLES_WITHIN_S = 60.0


def omnitron(*arguments: str) -> int:
    environment = {**os.environ, "OMNITRON_HOME": str(HOME)}
    return subprocess.run([*OMNITRON, *arguments], env=environment, check=False).returncode


def get(path: str) -> list[object]:
    try:
        with urllib.request.urlopen(f"{URL}{path}", timeout=5) as answer:
            found: list[object] = json.load(answer)
            return found
    except (urllib.error.URLError, TimeoutError):
        return []


def first_candle() -> str | None:
    """A symbol that has candles, within CANDLES_WITHIN_S."""
    deadline = time.monotonic() + CANDLES_WITHIN_S
    while time.monotonic() < deadline:
        for symbol in get("/symbols"):
            if get(f"/candles/{symbol}?interval=5m&limit=1"):
                return str(symbol)
        time.sleep(0.2)
    return None


def main() -> int:
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped from outside it stops everything, too
    print("Starting the market of recipe 1 on embedded Postgres and Redis.", flush=True)
    try:
        if omnitron("up", str(HERE)) != 0:
            return 1
        symbol = first_candle()
        if symbol is None:
            print(f"No candles within {CANDLES_WITHIN_S:.0f} s.", file=sys.stderr)
            omnitron("why", "market")
            return 1
        omnitron("status")
        print(
            f"\nCandles after {time.monotonic() - started:.0f} s. "
            "The trades are a LOCAL REPLAY of recorded sessions.\n\n"
            f"  the page        {URL}/\n"
            f"  candles         {URL}/candles/{symbol}?interval=5m\n"
            f"  what runs       OMNITRON_HOME={HOME} {Path(sys.prefix) / 'bin' / 'omnitron'} status\n"
            f"  its output      OMNITRON_HOME={HOME} {Path(sys.prefix) / 'bin' / 'omnitron'} logs -f\n\n"
            "Ctrl-C stops everything.",
            flush=True,
        )
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("\nStopping.", flush=True)
        return 0
    finally:
        omnitron("kill")


if __name__ == "__main__":
    sys.exit(main())
