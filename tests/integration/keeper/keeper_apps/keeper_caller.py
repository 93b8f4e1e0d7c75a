"""A service that calls another one."""

from omnitron.base.errors import WorkerDied
from omnitron.declare.remote import Remote
from omnitron.declare.rpc import rpc
from omnitron.declare.service import service

try:
    from worker import Worker  # in a replica, whose cwd is this folder
except ImportError:
    from keeper_apps.worker import Worker  # in the test


@service("caller@1.0.0")
class Caller:
    def __init__(self, worker: Remote[Worker]) -> None:
        self._worker = worker

    @rpc
    async def worker_pid(self) -> int:
        return await self._worker.pid()

    @rpc
    async def crash_it(self) -> str:
        try:
            await self._worker.crash()
        except WorkerDied as error:
            return str(error)
        return "it lives"
