"""All stacks of the daemon: made, adopted, asked, let go."""

import asyncio
import logging
from collections.abc import Iterable

from omnitron.base.errors import Refused
from omnitron.control.daemon import Plan, StackStatus
from omnitron.control.keeper import AppStatus
from omnitron.daemon.code import code_hash
from omnitron.daemon.commands import Commands
from omnitron.daemon.decisions.intake import Host, Intake, choose_stack, take_in
from omnitron.daemon.decisions.status import stack_status
from omnitron.daemon.host import free_port, port_taken
from omnitron.daemon.infra_record import infra_records
from omnitron.daemon.stack_task import Doors, StackTask
from omnitron.infra.plan import INFRA_APP
from omnitron.model.check import check
from omnitron.model.facts import Description

log = logging.getLogger("omnitron.daemon")


class Supervisor:
    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.stacks: dict[str, StackTask] = {}
        self.commands = Commands(doors, self.stack)

    def stack(self, name: str) -> StackTask:
        if name not in self.stacks:
            self.stacks[name] = StackTask(name, self.doors)
        return self.stacks[name]

    async def resume(self) -> None:
        """After a start: find the keepers that live, then make everything as desired."""
        stacks = [self.stack(name) for name in self.doors.desired.stacks()]
        await asyncio.gather(*(stack.adopt() for stack in stacks))
        for stack in stacks:
            stack.converge()

    async def close(self) -> None:
        """Let go of everything; it runs on."""
        await self.commands.close()
        await asyncio.gather(*(stack.close() for stack in self.stacks.values()))

    async def end(self) -> None:
        """Bring everything down, infrastructure included; by force what does not end in time."""
        operations = [self.commands.down(name, None, infrastructure=True) for name in self.doors.desired.stacks()]
        for operation in operations:
            async for step in operation.follow():
                if step.final and step.failed:
                    log.error("%s was not stopped: %s", step.subject, step.detail)

    # -- up

    async def plan(self, description: Description, stack: str | None) -> tuple[Plan, Intake | None]:
        """What `up` would do; no intake if the definition is refused."""
        name = choose_stack(description, stack)
        findings = check(description)
        if any(finding.level == "error" for finding in findings):
            return Plan(stack=name, findings=findings), None
        intake = await self._intake(description, name)
        return Plan(stack=name, changes=intake.changes, findings=findings), intake

    async def accept(self, description: Description, stack: str | None) -> Intake:
        """Raises Refused with all findings if the definition is wrong."""
        plan, intake = await self.plan(description, stack)
        if intake is None:
            wrong = [finding for finding in plan.findings if finding.level == "error"]
            raise Refused(
                f"{description.path} is wrong in {len(wrong)} places:\n"
                + "\n".join(f"  {f.subject}: {f.message} {f.remedy}" for f in wrong),
                remedy="`omnitron check` shows them again.",
                details={"findings": [f.code for f in wrong]},
            )
        return intake

    async def _intake(self, description: Description, stack: str) -> Intake:
        hashes = await asyncio.gather(*(asyncio.to_thread(code_hash, app.cwd) for app in description.apps))
        observed = await self._observed(stack)
        desired, home = self.doors.desired, self.doors.home  # from here on without waiting: nothing can come between
        return take_in(
            description,
            stack,
            Host(
                records=[r for r in desired.of(stack) if r.spec.app != INFRA_APP],
                claims=desired.claims(),
                infra=infra_records(desired.secrets()),
                idle=frozenset(desired.idle()),
                code={app.app: code for app, code in zip(description.apps, hashes, strict=True)},
                log_dirs={app.app: str(home.log_dir(stack, app.app)) for app in description.apps},
                observed={app: status for app, status in observed.items() if status is not None},
                free=free_port,
                taken=port_taken,
                rand=self.doors.rand,
            ),
        )

    # -- what is

    async def status(self, names: Iterable[str]) -> tuple[StackStatus, ...]:
        return tuple(await asyncio.gather(*(self._status(name) for name in names)))

    async def _status(self, name: str) -> StackStatus:
        stack, found = self.stack(name), await self._observed(name)
        return stack_status(
            name,
            self.doors.desired.of(name),
            found,
            stack.infrastructure.records(),
            {app: task.problem for app, task in stack.apps.items()},
        )

    async def _observed(self, name: str) -> dict[str, AppStatus | None]:
        tasks = list(self.stack(name).apps.values())
        return dict(zip((t.app for t in tasks), await asyncio.gather(*(t.status() for t in tasks)), strict=True))
