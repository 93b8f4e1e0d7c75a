"""Starts one incarnation: pipes, listening socket, then a fork of the template or a new program.

Descriptors made here are ours only for the moment of the start: the child has them by then, and what we keep open
would hide its end.
"""

import os
from typing import NamedTuple

from omnitron.base.errors import OperationError
from omnitron.control.keeper import AppSpec, ProcessSpec
from omnitron.control.replica import BootSpec
from omnitron.control.template import Fork
from omnitron.supervise.house import House
from omnitron.supervise.launching import boot_message, boot_variable, environment, folder, program, wants_template
from omnitron.supervise.output import Output
from omnitron.supervise.spawn import Launch
from omnitron.supervise.template import Template

TRANSPORTS = ("http", "websocket")


class Started(NamedTuple):
    """mode: "template", "spawn" or "command". detail: why it is not a template where one was wanted."""

    pid: int
    mode: str
    detail: str = ""


class Start:
    """One start. `template()` says whether it may be forked; `spawn` and `fork` do it."""

    def __init__(self, house: House, app: AppSpec, spec: ProcessSpec, slot: int, incarnation: int) -> None:
        self._house, self._app, self._spec = house, app, spec
        self._slot, self._incarnation = slot, incarnation
        self._env = environment(os.environ, house.home, app, spec, slot, incarnation)

    def template(self) -> Template | None:
        return self._house.templates.get(self._spec.process.name) if wants_template(self._spec) else None

    def spawn(self, output: Output) -> Started:
        """Raises OperationError if the program can not be run."""
        process, env, opened = self._spec.process, self._env, self._open(output)
        inherit: tuple[int, ...] = ()
        try:
            if process.command is None:
                numbers = dict(zip(("control", *self._transports()), opened[2:], strict=True))
                name, value = boot_variable(self._boot(numbers))
                env, inherit = {**env, name: value}, tuple(opened[2:])
            launch = Launch(
                program(self._app, self._spec), env, folder(self._app, self._spec), opened[0], opened[1], inherit,
                process.user, process.limits,
            )  # fmt: skip
            pid = self._house.spawner.start(launch)
        finally:
            self._close(opened)
        template = self.template()
        why = f"no template: {template.refused}" if template is not None and template.refused else ""
        mode = "command" if process.command is not None else "spawn"
        return Started(pid, mode, why)

    async def fork(self, template: Template, output: Output) -> Started:
        """Raises OperationError if the template can not do it."""
        opened = self._open(output)
        try:
            order = Fork(boot=self._boot({"control": -1}), env=self._env, transports=self._transports())
            pid = await template.fork(order, opened)
        finally:
            self._close(opened)
        return Started(pid, "template")

    def _boot(self, numbers: dict[str, int]) -> BootSpec:
        return boot_message(self._app, self._spec, self._house.run, self._slot, self._incarnation, numbers)

    def _transports(self) -> tuple[str, ...]:
        name = self._spec.process.name
        return tuple(t for t in TRANSPORTS if self._house.listeners.get(name, t) is not None)

    def _open(self, output: Output) -> list[int]:
        """stdout, stderr, then for our own entries control and the TCP sockets, all to be closed after the start."""
        process = self._spec.process
        opened = output.create(process.user)
        if process.command is None:
            try:
                listener = self._house.addresses.listen(process.name, self._slot, self._incarnation, process.user)
                opened.append(listener.detach())
                for transport in self._transports():
                    held = self._house.listeners.get(process.name, transport)
                    assert held is not None
                    opened.append(os.dup(held.fileno()))
            except OSError as error:
                self._close(opened)
                raise OperationError(
                    f"The sockets of {process.name} can not be made: {error}.", remedy="See `ulimit -n` and the disk."
                ) from None
        return opened

    @staticmethod
    def _close(opened: list[int]) -> None:
        for descriptor in opened:
            os.close(descriptor)
