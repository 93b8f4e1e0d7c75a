"""What the operator asks for, as operations that go on whether or not the operator stays to watch.

What changes the desired state is saved and made so by the stack's task; what does not (restart, reload, one replica)
goes straight to the keeper.
"""

import functools
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from omnitron.base.errors import NotFound, OmnitronError, Refused
from omnitron.base.names import Target, suggest
from omnitron.base.tasks import TaskSet
from omnitron.control.keeper import AppSpec, KeeperApi, ProcessSpec
from omnitron.daemon.decisions.intake import Intake
from omnitron.daemon.decisions.progress import steps
from omnitron.daemon.operation import Operation
from omnitron.daemon.stack_task import Doors, StackTask
from omnitron.infra.plan import INFRA_APP
from omnitron.model.state import Want
from omnitron.store.records import Desired


class Commands:
    """stack_of: the task of a stack, made when first asked for."""

    def __init__(self, doors: Doors, stack_of: Callable[[str], StackTask]) -> None:
        self._doors = doors
        self._stack_of = stack_of
        self._tasks = TaskSet("commands")

    async def close(self) -> None:
        await self._tasks.close()

    def up(self, intake: Intake) -> Operation:
        """Raises StoreFull, StoreFailed."""
        self.save(intake)
        apps = intake.apps | {record.spec.app for record in intake.records}
        operation = Operation(intake.stack, apps, retry=True, want=Want.UP)
        self._stack_of(intake.stack).converge(operation)
        return operation

    def save(self, intake: Intake) -> None:
        self._doors.desired.save(
            put=intake.records, claims=intake.claims, secrets=[record.secret for record in intake.infra]
        )

    def down(self, stack: str | None, app: str | None, infrastructure: bool) -> Operation:
        desired = self._doors.desired
        name = desired.choose(stack)
        records = [desired.find(name, app)] if app else [r for r in desired.of(name) if r.spec.app != INFRA_APP]
        infra = desired.get(name, INFRA_APP) if infrastructure and app is None else None
        down = [*records, *([infra] if infra else [])]
        desired.save(put=[msgspec.structs.replace(record, want=Want.DOWN) for record in down])
        operation = Operation(app or name, frozenset(record.spec.app for record in down), want=Want.DOWN)
        if not down:
            operation.end("done", "nothing is up")
        self._stack_of(name).converge(operation)
        return operation

    def start(self, stack: str | None, target: str) -> Operation:
        return self._want(stack, target, Want.UP)

    def stop(self, stack: str | None, target: str) -> Operation:
        return self._want(stack, target, Want.DOWN)

    def restart(self, stack: str | None, target: str) -> Operation:
        record, aim = self.find(stack, target)
        return self._direct(record, aim, lambda keeper: keeper.restart(aim.process, aim.slot))

    def reload(self, stack: str | None, target: str, intake: Intake | None) -> Operation:
        """intake: of the definition read anew; what it changes is rolled by that, the rest of the target after it."""
        if intake is None:
            record, aim = self.find(stack, target)
            return self._direct(record, aim, lambda keeper: keeper.reload(aim.process))
        first = self.up(intake)
        record, aim = self.find(intake.stack, target)
        rolled = {c.subject for c in intake.changes if c.action in ("reload", "create", "restart")}
        operation = Operation(str(aim), frozenset({aim.app}))
        self._tasks.start(self._reload(operation, first, record, aim, rolled), f"reload {aim}")
        return operation

    def scale(self, stack: str | None, target: str, count: int) -> Operation:
        record, aim = self.find(stack, target)
        if aim.app == INFRA_APP:
            raise Refused(f"{target!r} is infrastructure: there is one of it.", remedy="Scale what uses it.")
        if aim.process is None:
            raise Refused(f"{target!r} is an app.", remedy=f"Scale one of its processes: {aim.app}/NAME.")
        process = record.spec.processes[_index(record.spec, aim.process)].process
        if process.singleton and count > 1:
            raise Refused(
                f"{target} is a singleton: two of it would both act on the outside.",
                remedy="Remove singleton=True from its definition if that is not so.",
            )
        if not 1 <= count <= 999:
            raise Refused(
                f"{target} can not have {count} replicas.", remedy=f"Use 1 to 999, or `omnitron stop {target}`."
            )
        return self._change(record, aim, lambda spec: msgspec.structs.replace(spec, count=count))

    def find(self, stack: str | None, target: str) -> tuple[Desired, Target]:
        """The record and the parsed target. Raises NotFound with a suggestion."""
        aim = Target.parse(target)
        record = self._doors.desired.find(self._doors.desired.choose(stack), aim.app)
        if aim.process is not None:
            spec = record.spec.processes[_index(record.spec, aim.process)]
            if aim.slot is not None and aim.slot >= max(spec.count, spec.process.scaling.max_instances):
                raise NotFound(
                    f"{aim.app}/{aim.process} has {spec.count} replicas, none with slot {aim.slot}.",
                    remedy="Slots count from 0; `omnitron scale` changes how many there are.",
                )
        return record, aim

    # -- how it is done

    def _want(self, stack: str | None, target: str, want: Want) -> Operation:
        record, aim = self.find(stack, target)
        if aim.slot is not None or aim.app == INFRA_APP:
            if want is Want.UP:
                return self._direct(record, aim, lambda keeper: keeper.start(aim.process, aim.slot))
            return self._direct(record, aim, lambda keeper: keeper.stop(aim.process, aim.slot))
        return self._change(record, aim, lambda spec: msgspec.structs.replace(spec, want=str(want)))

    def _change(self, record: Desired, aim: Target, change: Callable[[ProcessSpec], ProcessSpec]) -> Operation:
        processes = tuple(change(p) if aim.process in (None, p.process.name) else p for p in record.spec.processes)
        spec = msgspec.structs.replace(record.spec, processes=processes)
        self._doors.desired.save(put=[msgspec.structs.replace(record, spec=spec, want=Want.UP)])
        operation = Operation(str(aim), frozenset({aim.app}), retry=True)
        self._stack_of(spec.stack).converge(operation)
        return operation

    def _direct(
        self, record: Desired, aim: Target, call: Callable[[KeeperApi], Coroutine[Any, Any, None]]
    ) -> Operation:
        task = self._stack_of(record.spec.stack).task(aim.app)
        keeper = task.keeper  # raises before anything is begun
        operation = Operation(str(aim), frozenset({aim.app}))
        self._tasks.start(self._watched(operation, record, aim, call(keeper)), f"act on {aim}")
        return operation

    async def _watched(
        self, operation: Operation, record: Desired, aim: Target, work: Coroutine[Any, Any, None]
    ) -> None:
        watching = self._tasks.start(self._watch(operation, record, aim), f"watch {aim}")
        try:
            await work
        except OmnitronError as error:
            operation.fail(error)
        else:
            operation.end("done")
        finally:
            watching.cancel()
            operation.end("failed", "the daemon ends", failed=True)

    async def _watch(self, operation: Operation, record: Desired, aim: Target) -> None:
        task = self._stack_of(record.spec.stack).task(aim.app)
        with self._doors.journal.watch() as changed:
            while True:
                changed.clear()
                for step in steps(record.spec, await task.status(), task.refused, self._doors.clock.now()):
                    if aim.process in (None, step.subject.partition("/")[2]):
                        operation.tell(msgspec.structs.replace(step, done=False, failed=False))
                await changed.wait()

    async def _reload(
        self, operation: Operation, first: Operation, record: Desired, aim: Target, rolled: set[str]
    ) -> None:
        async for step in first.follow():
            if step.final and step.failed:
                operation.end("failed", step.detail, failed=True)
            elif not step.final:
                operation.tell(step)
        if operation.ended:
            return
        rest = [p.process.name for p in record.spec.processes if f"{aim.app}/{p.process.name}" not in rolled]
        for name in rest if aim.process is None else [n for n in rest if n == aim.process]:
            inner = self._direct(record, Target(aim.app, name), functools.partial(_reload_one, name))
            async for step in inner.follow():
                if step.final and step.failed:
                    operation.end("failed", step.detail, failed=True)
                elif not step.final:
                    operation.tell(step)
        operation.end("done")


def _reload_one(process: str, keeper: KeeperApi) -> Coroutine[Any, Any, None]:
    return keeper.reload(process)


def _index(spec: AppSpec, process: str) -> int:
    names = [p.process.name for p in spec.processes]
    if process not in names:
        raise NotFound(
            f"App {spec.app!r} has no process {process!r}.{suggest(process, names)}",
            remedy=f"It has: {', '.join(names)}.",
        )
    return names.index(process)
