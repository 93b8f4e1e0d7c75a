"""Operating system processes that are none: the door `omnitron.supervise.spawn` without forks, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from signal import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM
from typing import Final

from omnitron.base.errors import OperationError
from omnitron.base.tasks import TaskSet
from omnitron.model.state import ExitStatus
from omnitron.supervise.spawn import Ended, Launch

FIRST_PID: Final = 1 << 23
"""Above any pid Linux gives (2**22), so that no real process is ever looked at by mistake."""
_DEADLY: Final = frozenset({SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGTERM})


@dataclass(slots=True, eq=False)
class FakeProcess:
    """One that was started. group: its leader's pid. signals: those it got, in order. ignores: those that do nothing.

    status: how it ended, None while it lives. Set `ignores` from the program, or from the test.
    """

    pid: int
    group: int
    launch: Launch
    signals: list[int] = field(default_factory=list)
    ignores: set[int] = field(default_factory=set)
    status: ExitStatus | None = None

    @property
    def alive(self) -> bool:
        return self.status is None


Program = Callable[[FakeProcess], Awaitable[int]]
"""What a process does; its result is the exit code. Let it sleep on a FakeClock."""


async def _for_ever(process: FakeProcess) -> int:
    await asyncio.get_running_loop().create_future()
    return 0


class FakeSpawner:
    """Implements `omnitron.supervise.spawn.Spawner`. processes: all ever started, in order. Close it after use.

    program: what each process does; without one it lives until a signal ends it, or `end`.
    refuse: while set, nothing can be started, for that reason.
    """

    def __init__(self, program: Program = _for_ever) -> None:
        self.processes: list[FakeProcess] = []
        self.refuse: OperationError | None = None
        self._program = program
        self._tasks = TaskSet("processes")
        self._running: dict[int, asyncio.Task[None]] = {}
        self._watched: dict[int, Ended] = {}
        self._told: list[Callable[[], None]] = []

    # -- for the test

    @property
    def running(self) -> list[FakeProcess]:
        return [process for process in self.processes if process.alive]

    def end(self, process: FakeProcess, status: ExitStatus) -> None:
        """It ends, by itself."""
        if process.alive:
            process.status = status
            self._running.pop(process.pid).cancel()
            asyncio.get_running_loop().call_soon(self._reap, process)

    def leave_child(self, process: FakeProcess) -> FakeProcess:
        """A child of it, in its group, which its end leaves behind."""
        return self._begin(process.launch, process.group, _for_ever)

    async def close(self) -> None:
        """Nobody is told of these ends."""
        self._watched.clear()
        self._told.clear()
        await self._tasks.close()

    # -- as in `Spawner`

    def start(self, launch: Launch) -> int:
        if self.refuse is not None:
            raise self.refuse
        return self._begin(launch, None, self._program).pid

    def watch(self, pid: int, ended: Ended, *, adopted: bool = False) -> None:
        process = self._find(pid)
        self._watched[pid] = ended if not adopted else lambda _: ended(ExitStatus())
        if process is None or not process.alive:
            status = ExitStatus() if process is None or process.status is None else process.status
            asyncio.get_running_loop().call_soon(self._watched.pop(pid), status)

    def signal(self, pgid: int, number: int) -> bool:
        members = self.members(pgid)
        for pid in members if number else ():
            self.signal_one(pid, number)
        return bool(members)

    def signal_one(self, pid: int, number: int) -> None:
        process = self._find(pid)
        if process is None or not process.alive:
            return
        process.signals.append(number)
        if number == SIGKILL or (number in _DEADLY and number not in process.ignores):
            self.end(process, ExitStatus(signal=number))

    def on_reaped(self, told: Callable[[], None]) -> None:
        self._told.append(told)

    def members(self, pgid: int) -> list[int]:
        return [process.pid for process in self.running if process.group == pgid]

    def orphans(self) -> list[int]:
        leaders = {process.pid for process in self.running}
        return [p.pid for p in self.running if p.group not in leaders and p.pid not in self._watched]

    # -- a process's life

    def _find(self, pid: int) -> FakeProcess | None:
        index = pid - FIRST_PID
        return self.processes[index] if 0 <= index < len(self.processes) else None

    def _begin(self, launch: Launch, group: int | None, program: Program) -> FakeProcess:
        pid = FIRST_PID + len(self.processes)
        process = FakeProcess(pid, pid if group is None else group, launch)
        self.processes.append(process)
        self._running[pid] = self._tasks.start(self._live(process, program), f"process {pid}")
        return process

    async def _live(self, process: FakeProcess, program: Program) -> None:
        code = await program(process)
        if process.alive:
            process.status = ExitStatus(code=code)
            del self._running[process.pid]
            self._reap(process)

    def _reap(self, process: FakeProcess) -> None:
        ended = self._watched.pop(process.pid, None)
        if ended is not None and process.status is not None:
            ended(process.status)
        for told in list(self._told):
            told()
