"""The daemon's API as it is served: it translates between requests and the supervisor, and decides nothing."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

from omnitron.base.errors import NotFound
from omnitron.base.names import Target
from omnitron.control.daemon import DaemonInfo, Plan, Progress, Status, Why
from omnitron.control.events import Event
from omnitron.control.keeper import ServiceEndpoints
from omnitron.daemon.decisions.plan import nothing_to_do
from omnitron.daemon.decisions.why import subjects, why
from omnitron.daemon.operation import Operation
from omnitron.daemon.supervisor import Supervisor
from omnitron.logs.query import Query
from omnitron.logs.read import logged_processes, tail
from omnitron.model.facts import Description
from omnitron.store.records import Desired

WHY_EVENTS: Final = 20
WHY_LINES: Final = 10


class Api:
    """Implements control.daemon.DaemonApi. stop: ends the daemon."""

    def __init__(self, supervisor: Supervisor, info: DaemonInfo, stop: Callable[[], None]) -> None:
        self._supervisor = supervisor
        self._commands = supervisor.commands
        self._desired = supervisor.doors.desired
        self._journal = supervisor.doors.journal
        self._info = info
        self._stop = stop

    async def ping(self) -> DaemonInfo:
        return self._info

    async def plan(self, description: Description, stack: str | None) -> Plan:
        plan, _ = await self._supervisor.plan(description, stack)
        return plan

    async def up(self, description: Description, stack: str | None) -> AsyncIterator[Progress]:
        intake = await self._supervisor.accept(description, stack)
        operation = self._commands.up(intake)  # before the first step is taken: the client may leave at any time
        if nothing_to_do(list(intake.changes)):
            yield Progress(subject=intake.stack, state="unchanged", detail="nothing to do")
        async for step in operation.follow():
            yield step

    async def down(self, stack: str | None, app: str | None, infrastructure: bool) -> AsyncIterator[Progress]:
        async for step in self._commands.down(stack, app, infrastructure).follow():
            yield step

    async def start(self, stack: str | None, target: str) -> AsyncIterator[Progress]:
        async for step in self._commands.start(stack, target).follow():
            yield step

    async def stop(self, stack: str | None, target: str) -> AsyncIterator[Progress]:
        async for step in self._commands.stop(stack, target).follow():
            yield step

    async def restart(self, stack: str | None, target: str) -> AsyncIterator[Progress]:
        async for step in self._commands.restart(stack, target).follow():
            yield step

    async def reload(self, stack: str | None, target: str, description: Description | None) -> AsyncIterator[Progress]:
        operation = await self._reload(stack, target, description)
        async for step in operation.follow():
            yield step

    async def scale(self, stack: str | None, target: str, count: int) -> AsyncIterator[Progress]:
        async for step in self._commands.scale(stack, target, count).follow():
            yield step

    async def status(self, stack: str | None) -> Status:
        names = self._desired.stacks() if stack is None else [self._desired.choose(stack)]
        return Status(daemon=self._info, stacks=await self._supervisor.status(names))

    async def endpoints(self, stack: str | None) -> list[ServiceEndpoints]:
        return self._supervisor.stack(self._desired.choose(stack)).directory.all()

    async def env(self, stack: str | None, target: str) -> dict[str, str]:
        """Of a process; of an app, what all its processes have in common."""
        record, aim = self._commands.find(stack, target)
        found = [p.env for p in record.spec.processes if aim.process in (None, p.process.name)]
        common = set(found[0].items()).intersection(*(env.items() for env in found[1:])) if found else set()
        return dict(sorted(common))

    async def inspect(self, stack: str | None, target: str) -> dict[str, Any]:
        """Everything known, without the values of the environment."""
        record, aim = self._commands.find(stack, target)
        status = await self._task(record).status()
        spec: dict[str, Any] = msgspec.to_builtins(record.spec)
        for process in spec["processes"]:
            process["env"] = process["process"]["env"] = sorted(process["env"])
        result = {"want": str(record.want), "definition": record.path, "log_dir": record.spec.log_dir}
        if aim.process is None:
            return {**result, "spec": spec, "status": msgspec.to_builtins(status)}
        wanted = next(p for p in spec["processes"] if p["process"]["name"] == aim.process)
        found = next((p for p in status.processes if p.name == aim.process), None) if status else None
        replicas = [r for r in found.replicas if r.replica == str(aim)] if found and aim.slot is not None else []
        shown = replicas[0] if replicas else found
        return {**result, "spec": wanted, "status": msgspec.to_builtins(shown)}

    async def why(self, stack: str | None, target: str) -> Why:
        record, aim = self._commands.find(stack, target)
        task = self._task(record)
        events = self._journal.latest(WHY_EVENTS, record.spec.stack, subjects(aim))
        now = self._supervisor.doors.clock.now()
        summary = why(aim, record, await task.status(), events, task.problem, now)
        return Why(subject=target, summary=summary, events=tuple(events), output=_output(record, aim))

    async def events(self, stack: str | None, target: str | None, last: int, follow: bool) -> AsyncIterator[Event]:
        name = None if stack is None and target is None else self._desired.choose(stack)
        wanted = subjects(Target.parse(target)) if target is not None else ()
        if not follow:
            for event in self._journal.latest(last, name, wanted):
                yield event
            return
        async for event in self._journal.follow(last, name, wanted):
            yield event

    async def shutdown(self, apps: bool) -> None:
        if apps:
            await self._supervisor.end()
        self._stop()

    async def _reload(self, stack: str | None, target: str, description: Description | None) -> Operation:
        if description is None:
            return self._commands.reload(stack, target, None)
        aim = Target.parse(target)
        if aim.app not in {app.app for app in description.apps}:
            raise NotFound(f"{description.path} defines no app {aim.app!r}.", remedy="Name one that it defines.")
        return self._commands.reload(stack, target, await self._supervisor.accept(description, stack))

    def _task(self, record: Desired) -> Any:
        return self._supervisor.stack(record.spec.stack).task(record.spec.app)


def _output(record: Desired, aim: Target) -> tuple[str, ...]:
    """The last lines the target printed."""
    log_dir = record.spec.log_dir
    names = [name for name in logged_processes(log_dir) if aim.process in (None, name)]
    slots = () if aim.slot is None else (aim.slot,)
    return tuple(f"{r.replica} {r.msg}" for r in tail(log_dir, names, WHY_LINES, Query(slots=slots)))
