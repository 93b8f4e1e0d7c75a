"""One task makes one stack so: what should be down goes first, then infrastructure, then the apps in their order.

It always works on the whole of what is desired, so a new request in the middle just makes it begin again: what is done
is found done. Operations are those who wait for it; each ends when the apps it is about are settled, or failed.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from omnitron.base.clock import Clock
from omnitron.base.errors import InternalError, OmnitronError, OperationError
from omnitron.base.home import Home
from omnitron.base.rand import Rand
from omnitron.base.tasks import TaskSet
from omnitron.control.daemon import Progress
from omnitron.control.events import Event
from omnitron.control.keeper import AppSpec, ServiceEndpoints
from omnitron.daemon.app_task import AppTask
from omnitron.daemon.decisions.apps import app_order
from omnitron.daemon.decisions.progress import look_again, ready_timeout, settled, steps, stopping, stuck
from omnitron.daemon.desired import DesiredState
from omnitron.daemon.directory import Directory
from omnitron.daemon.infrastructure import Infrastructure
from omnitron.daemon.journal import Journal
from omnitron.daemon.keepers import Keepers
from omnitron.daemon.operation import Operation
from omnitron.infra.plan import INFRA_APP
from omnitron.model.state import Want
from omnitron.store.records import Desired
from omnitron.supervise.order import drain_order

RETRY_BEGINS_S: Final = 10.0  # until a keeper that was told to start something has begun

log = logging.getLogger("omnitron.daemon")


@dataclass(frozen=True, slots=True)
class Doors:
    """What all tasks of the daemon share."""

    home: Home
    clock: Clock
    rand: Rand
    keepers: Keepers
    journal: Journal
    desired: DesiredState


class StackTask:
    def __init__(self, name: str, doors: Doors) -> None:
        self.name = name
        self.apps: dict[str, AppTask] = {}
        self.directory = Directory()
        self.infrastructure = Infrastructure(name, doors.home, doors.desired, doors.journal)
        self._doors = doors
        self._open: list[Operation] = []
        self._tasks = TaskSet(f"stack {name}")
        self._worker: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<StackTask {self.name} apps={sorted(self.apps)} open={len(self._open)}>"

    # -- what others ask

    def converge(self, operation: Operation | None = None) -> None:
        """Make the stack as desired now; the operation ends when its apps are."""
        if operation is not None:
            for other in [other for other in self._open if other.contradicts(operation)]:
                other.end("failed", f"it was asked for {operation.want} meanwhile", failed=True)
            self._open = [*(other for other in self._open if not other.ended), operation]
        if self._worker is not None:
            self._worker.cancel()
        self._worker = self._tasks.start(self._work(), "converge")

    async def adopt(self) -> None:
        """Connect to the keepers that live."""
        for record in self._records():
            task = self.task(record.spec.app)
            if record.want is Want.UP:
                task.spec = record.spec
        await asyncio.gather(*(task.adopt() for task in self.apps.values()))

    def task(self, app: str) -> AppTask:
        """The app's task, made when it is first asked for."""
        if app not in self.apps:
            doors = self._doors
            self.apps[app] = AppTask(self.name, app, doors.keepers, doors.journal, self, doors.clock, doors.rand)
        return self.apps[app]

    async def close(self) -> None:
        """Let go of everything; it runs on."""
        await self._tasks.close()
        await asyncio.gather(*(task.close() for task in self.apps.values()))

    # -- what apps tell (app_task.Listener)

    def happened(self, app: str, event: Event) -> None:
        record = self._doors.desired.get(self.name, app)
        if event.kind == "replica.exited":
            self.directory.died(app, event, self.apps.values())
        if event.kind == "app.failed" and record is not None and record.critical and record.want is Want.UP:
            self._escalate(app, event.reason)

    def published(self, app: str, services: list[ServiceEndpoints]) -> None:
        self.directory.publish(app, services, self.apps.values())
        self._doors.journal.changed()

    def connected(self, app: str) -> None:
        self.directory.forgotten(app, self.apps.values())

    def _escalate(self, app: str, reason: str) -> None:
        """A critical app has failed: the stack is stopped in order, by its own word. Never the daemon."""
        text = f"critical app {app} failed: {reason}; the stack is stopped in order"
        self._doors.journal.tell(self.name, app, "stack.stopped", text, "error")
        down = [r for r in self._records() if r.spec.app != INFRA_APP]
        self._doors.desired.save(put=[msgspec.structs.replace(record, want=Want.DOWN) for record in down])
        self.converge()

    # -- the work

    def _records(self, want: Want | None = None) -> list[Desired]:
        return [r for r in self._doors.desired.of(self.name) if want is None or r.want is want]

    def _tell(self, step: Progress) -> None:
        app = step.subject.partition("/")[0]
        for operation in self._open:
            if app in operation.apps or app == INFRA_APP:
                operation.tell(step)

    def _settled(self, app: str) -> None:
        for operation in self._open:
            operation.settled(app)
        self._open = [operation for operation in self._open if not operation.ended]

    async def _work(self) -> None:
        try:
            await self._down()
            await self._up()
        except OmnitronError as error:
            log.error("stack %s: %s", self.name, error)
            for operation in self._open:
                operation.fail(error)
        except Exception as error:
            log.exception("stack %s", self.name)
            for operation in self._open:
                operation.fail(InternalError(f"The work on stack {self.name!r} broke off: {error!r}."))
        for operation in self._open:
            for app in tuple(operation.waiting):
                operation.settled(app)
        self._open.clear()
        self._doors.journal.changed()

    async def _down(self) -> None:
        """In the reverse of the starting order: who needs others stops first, the infrastructure last."""
        going = [r for r in self._records(Want.DOWN) if r.spec.app != INFRA_APP]
        for layer in drain_order(app_order(going)):
            await asyncio.gather(*(self._end(app) for app in layer))
            for app in layer:
                self._settled(app)
        if self._doors.desired.idle() & {(self.name, INFRA_APP)}:
            await self._end(INFRA_APP)
        gone = [(self.name, r.spec.app) for r in self._records(Want.DOWN) if r.leaving]
        if gone:
            self._doors.desired.save(forget=gone)
            for _, app in gone:
                await self.apps.pop(app).close()

    async def _end(self, app: str) -> None:
        task = self.task(app)
        if not await task.adopt():
            task.spec = None
            self._tell(Progress(subject=app, state="stopped", done=True))
            return
        self._tell(Progress(subject=app, state="stopping"))
        watching = self._tasks.start(self._watch_end(task), f"watch the end of {app}")
        try:
            await task.end()
        except OmnitronError as error:
            self._tell(Progress(subject=app, state="failed", detail=str(error), done=True, failed=True))
            return
        finally:
            watching.cancel()
        self.directory.publish(app, [], self.apps.values())
        self._doors.journal.tell(self.name, app, "app.down")
        self._tell(Progress(subject=app, state="stopped", done=True))

    async def _up(self) -> None:
        records = [r for r in self._records(Want.UP) if r.spec.app != INFRA_APP]
        if not records:
            return
        await self._infra()
        layers = app_order(records)
        by_name = {record.spec.app: record for record in records}
        for layer in layers:
            await asyncio.gather(*(self._start(by_name[app]) for app in layer))

    async def _infra(self) -> None:
        """Raises OmnitronError: without what they need, no app is started."""
        task = self.task(INFRA_APP)
        spec = await self.infrastructure.spec(self._tell, running=await task.adopt())
        if spec is not None:
            await task.ensure(spec)
            await self._retry_failed(task, [op for op in self._open if op.retry])
            for step in await self._settle(task, spec):
                raise OperationError(
                    f"{step.subject} does not get ready: {step.detail}.", remedy=f"See `omnitron logs {step.subject}`."
                )
        elif self._doors.desired.get(self.name, INFRA_APP) is not None:
            await self._end(INFRA_APP)
            self._doors.desired.save(forget=[(self.name, INFRA_APP)])
        await self.infrastructure.provision(self._tell)

    async def _start(self, record: Desired) -> None:
        """One that fails does not hold up those who call it: they find it when it is there."""
        app = record.spec.app
        task = self.task(app)
        try:
            await self.infrastructure.migrate(record, self._tell)
            await task.ensure(record.spec)
            asked = [op for op in self._open if app in op.retry]
            await self._retry_failed(task, asked)
            for operation in asked:
                operation.retry.discard(app)
            self.directory.refresh(self.apps.values())
            await self._settle(task, record.spec)
        except (OmnitronError, TimeoutError) as error:
            detail = str(error) or "its keeper does not answer"
            self._tell(Progress(subject=app, state="failed", detail=detail, done=True, failed=True))
        self._settled(app)

    async def _retry_failed(self, task: AppTask, asked: list[Operation]) -> None:
        """`up` is a new chance for what was given up."""
        status = await task.status() if asked else None
        if status is not None and status.state == "failed":
            failed = [process.name for process in status.processes if process.state == "failed"]
            for process in failed or (None,):  # none: the app was stopped as a whole
                await task.keeper.start(process, None)
            await self._moved(task, stuck(status))

    async def _moved(self, task: AppTask, before: frozenset[tuple[str, int]]) -> None:
        """Wait until what was given up is on its way: it must not be taken for a failure of this try."""
        with self._doors.journal.watch() as changed:
            async with asyncio.timeout(RETRY_BEGINS_S):
                while before & stuck(await task.status()):
                    await changed.wait()
                    changed.clear()

    async def _settle(self, task: AppTask, spec: AppSpec) -> list[Progress]:
        """Tell the progress until every process is ready or failed, or it takes too long. Which failed, and why."""
        timeout_s = ready_timeout(spec)
        try:
            async with asyncio.timeout(timeout_s):
                return [step for step in await self._watch(task, spec) if step.failed]
        except TimeoutError:
            last = steps(spec, await task.status(), task.refused, self._doors.clock.now())
            late = [step for step in last if not step.done]
        failed = [
            Progress(
                subject=step.subject,
                state="failed",
                detail=f"still {step.state} after {timeout_s:g} s{f': {step.detail}' if step.detail else ''}",
                done=True,
                failed=True,
            )
            for step in late
        ]
        for step in failed:
            self._tell(step)
        return failed

    async def _watch(self, task: AppTask, spec: AppSpec) -> list[Progress]:
        with self._doors.journal.watch() as changed:
            while True:
                changed.clear()
                status, now = await task.status(), self._doors.clock.now()
                progress = steps(spec, status, task.refused, now)
                for step in progress:
                    self._tell(step)
                if settled(progress):
                    return progress
                with suppress(TimeoutError):
                    async with asyncio.timeout(look_again(spec, status, now) or None):
                        await changed.wait()

    async def _watch_end(self, task: AppTask) -> None:
        with self._doors.journal.watch() as changed:
            while (status := await task.status()) is not None:
                for step in stopping(status):
                    self._tell(step)
                changed.clear()
                await changed.wait()
