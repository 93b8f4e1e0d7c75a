"""A small system to measure with: one HTTP process in front of a pool of two, all of which say their version."""

import tempfile
from pathlib import Path

SYSTEM = """
from omnitron import Http, Process, Restart, Topology, Transports, define_system
OFTEN = Restart(intensity=1000, period="1s")
system = define_system(name="shop", version="1.0.0", processes=[
    Process(name="http", module="shop.api", instances=2, restart=OFTEN, transports=Transports(http=Http(port=8080))),
    Process(name="work", module="shop.work", instances=2, restart=OFTEN, topology=Topology(expose=True)),
])
"""
API = """
from starlette.requests import Request
from omnitron import Remote, route, service
from shop.version import VERSION
from shop.work import Work

@service("shop@1.0.0")
class Shop:
    def __init__(self, work: Remote[Work]) -> None:
        self._work = work

    @route("GET", "/ask", public="a benchmark")
    async def ask(self, request: Request) -> dict[str, str]:
        pooled = await self._work.version()
        return {"version": VERSION if pooled == VERSION else "mixed"}
"""
WORK = """
import asyncio
from omnitron import rpc, service
from shop.version import VERSION

@service("work@1.0.0")
class Work:
    @rpc(idempotent=True)
    async def version(self) -> str:
        await asyncio.sleep(0.002)
        return VERSION
"""
SLEEPERS = """
from omnitron import Process, define_system
system = define_system(name="sleepers", version="1.0.0", processes=[
    Process(name=f"p{{n}}", command=["/bin/sleep", "1000"]) for n in range({count})
])
"""


def write_shop() -> Path:
    """A folder with the system, at version "0"."""
    folder = Path(tempfile.mkdtemp())
    (folder / "shop").mkdir()
    (folder / "system.py").write_text(SYSTEM)
    for name, text in (("__init__", ""), ("api", API), ("work", WORK)):
        (folder / "shop" / f"{name}.py").write_text(text)
    set_version(folder, 0)
    return folder


def set_version(folder: Path, number: int) -> str:
    (folder / "shop" / "version.py").write_text(f'VERSION = "{number}"\n' + "#" * number)  # another size: never cached
    return str(number)


def write_sleepers(count: int) -> Path:
    """A definition with that many trivial commands."""
    folder = Path(tempfile.mkdtemp())
    (folder / "system.py").write_text(SLEEPERS.format(count=count))
    return folder / "system.py"
