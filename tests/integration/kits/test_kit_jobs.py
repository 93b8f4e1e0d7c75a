import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

from kit_servers import eventually

from omnitron.kits.schedule import Firing, Ledger


def start(folder: Path, slot: int) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("kit_jobs.py")
    return subprocess.Popen([sys.executable, str(script), str(folder), f"m/http/{slot}"], stdout=subprocess.PIPE)


async def test_replicas_share_the_ticks_and_a_killed_ones_run_is_lost_or_run_again(tmp_path: Path) -> None:
    replicas = [start(tmp_path, slot) for slot in range(3)]
    try:
        await eventually((tmp_path / "schedule.db").exists)
        ledger = Ledger(tmp_path / "schedule.db")

        def states(job: str) -> Counter[str]:
            return Counter(firing.state for firing in ledger.history(job))

        await eventually(lambda: states("Jobs.quick")["ok"] >= 20 and states("Jobs.again")["ok"] >= 1, timeout=20)
        lost = await asyncio.to_thread(_kill_the_one_that_runs, ledger, replicas, "Jobs.lost")
        again = await asyncio.to_thread(_kill_the_one_that_runs, ledger, replicas, "Jobs.again")

        def now(job: str, firing: Firing) -> Firing:
            return next(f for f in ledger.history(job) if f.scheduled == firing.scheduled)

        await eventually(lambda: now("Jobs.lost", lost).state == "lost", timeout=20)
        await eventually(lambda: now("Jobs.again", again).state == "ok", timeout=20)
        assert now("Jobs.again", again).owner != again.owner
        ledger.close()
    finally:
        outputs = []
        for replica in replicas:
            replica.kill()
            outputs.append(replica.communicate()[0].decode())
    assert sum("quick" in output for output in outputs) >= 2, "one replica ran all"


def _kill_the_one_that_runs(ledger: Ledger, replicas: list["subprocess.Popen[bytes]"], job: str) -> Firing:
    while True:
        for firing in ledger.history(job, 1):
            if firing.state == "running":
                replicas[int(firing.owner.split("/")[2].split("#")[0])].kill()
                return firing
