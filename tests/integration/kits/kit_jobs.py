"""A replica with scheduled jobs, to be killed: kit_jobs.py STATE_DIR REPLICA. Prints what it runs."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from kit_servers import Context

from omnitron.declare.schedule import interval
from omnitron.kits.schedule import Scheduler, ledger


class Jobs:
    @interval("100ms")
    async def quick(self) -> None:
        print("quick", flush=True)

    @interval("1s", retry_on_crash=True)
    async def again(self) -> None:
        print("again", flush=True)
        await asyncio.sleep(0.5)
        print("again done", flush=True)

    @interval("1s")
    async def lost(self) -> None:
        print("lost", flush=True)
        await asyncio.sleep(0.5)


async def main(state_dir: str, replica: str) -> None:
    ctx = Context({}, Path(state_dir), replica)
    ctx.services.append(Jobs())
    async with asynccontextmanager(Scheduler.__omnitron_provide__)(ctx):
        await asyncio.Event().wait()


if __name__ == "__main__":
    ledger.LEASE_S = 1.0  # type: ignore[misc]
    asyncio.run(main(*sys.argv[1:]))
