"""What the operating system knows of processes: who they are, whether they live, what they use.

A pid alone is no identity, since it is used again; pid and start time together are. The start time is read as a text
that changes for every process and every boot. A zombie counts as dead: it runs nothing any more.
Linux is read from /proc directly, since psutil costs 8 MiB and 30 ms; elsewhere psutil is asked.
"""

import functools
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

LINUX: Final = sys.platform.startswith("linux")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Stat(msgspec.Struct, frozen=True):
    """cpu: seconds used so far. rss: bytes. started: identity of this life of the pid."""

    pid: int
    ppid: int
    pgid: int
    session: int
    zombie: bool
    cpu: float
    rss: int
    started: str


@functools.cache
def boot_id() -> str:
    """Another one after each boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip() if LINUX else str(_psutil().boot_time())


def read_stat(pid: int) -> Stat | None:
    """None if there is no such process."""
    return _linux_stat(pid) if LINUX else _portable_stat(pid)


def _linux_stat(pid: int) -> Stat | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # pid (comm) state ...; comm may itself hold spaces and parentheses. Field n of proc(5) is at n - 3.
    field = text[text.rindex(b")") + 2 :].split()
    return Stat(
        pid=pid, ppid=int(field[1]), pgid=int(field[2]), session=int(field[3]), zombie=field[0] in (b"Z", b"X"),
        cpu=(int(field[11]) + int(field[12])) / _TICKS, rss=int(field[21]) * _PAGE, started=field[19].decode(),
    )  # fmt: skip


def _psutil() -> Any:
    return importlib.import_module("psutil")


def _portable_stat(pid: int) -> Stat | None:
    psutil = _psutil()
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times, zombie = process.cpu_times(), process.status() == psutil.STATUS_ZOMBIE
            return Stat(
                pid=pid, ppid=process.ppid(), pgid=os.getpgid(pid), session=os.getsid(pid), zombie=zombie,
                cpu=times.user + times.system, rss=process.memory_info().rss, started=str(process.create_time()),
            )  # fmt: skip
    except (psutil.Error, ProcessLookupError):
        return None


def start_identity(pid: int) -> str:
    """Changes for every process that ever has this pid; "" if there is none."""
    stat = read_stat(pid)
    return f"{boot_id()}:{stat.started}" if stat is not None else ""


def is_alive(pid: int, identity: str) -> bool:
    """Whether the very process with this identity still runs."""
    stat = read_stat(pid)
    return stat is not None and not stat.zombie and f"{boot_id()}:{stat.started}" == identity


def all_pids() -> Iterator[int]:
    if LINUX:
        yield from (int(name) for name in os.listdir("/proc") if name.isdecimal())
    else:
        yield from _psutil().pids()


def group_members(pgid: int) -> list[int]:
    """Living processes of the group. A look at all processes: first ask `killpg(pgid, 0)`, which costs nothing."""
    stats = (read_stat(pid) for pid in all_pids())
    return [stat.pid for stat in stats if stat is not None and stat.pgid == pgid and not stat.zombie]


def children_of(pid: int) -> list[int]:
    """Direct children, including orphans a subreaper was given."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_bytes().split()]
    except OSError:
        stats = (read_stat(other) for other in all_pids())
        return [stat.pid for stat in stats if stat is not None and stat.ppid == pid]


def output_link(pid: int, descriptor: int) -> str:
    """The path a descriptor of another process is open on; "" if that can not be known."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return ""


def environment_of(pid: int) -> dict[str, str]:
    """As given when the process was executed; {} if that can not be known. A forked process shows its parent's."""
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in data.split(b"\0") if item)
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}


def read_pss(pid: int) -> int | None:
    """Memory in bytes with shared pages divided among their users. Walks the page tables: about 1 ms, so ask rarely."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None
