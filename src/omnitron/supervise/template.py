"""The keeper's side of templates: processes that have imported a module and are forked by command.

A template that can not be used (its module does not import, it has threads, it is not ready in time) is not an error:
the reason is kept, replicas are spawned instead, and if the module really is broken they say so themselves. One that
dies after it was ready is made anew. When the keeper dies the template reads the end of its socket and ends, while the
replicas it has forked live on; a new keeper makes new templates.
"""

import array
import asyncio
import itertools
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from omnitron.base.clock import Clock
from omnitron.base.errors import OperationError
from omnitron.control.keeper import AppSpec, ProcessSpec
from omnitron.control.template import ENV_TEMPLATE, MAX_MESSAGE, Fork, Forked, Loaded, TemplateStart
from omnitron.logs.write import LogWriter
from omnitron.model.state import ExitStatus
from omnitron.model.transports import Transports
from omnitron.supervise.launching import environment, folder
from omnitron.supervise.output import Output
from omnitron.supervise.spawn import Launch, Spawner

NO_SLOT: Final = -1  # slot of a template's log records
FORK_TIMEOUT_S: Final = 10.0  # of one fork; a template that takes longer is stuck


class Template:
    """One template process. usable: it can be forked now. refused: why it never will, "" otherwise."""

    def __init__(self, spec: ProcessSpec, spawner: Spawner, output: Output, dead: Callable[["Template"], None]) -> None:
        self.spec = spec
        self.pid: int | None = None
        self.usable = False
        self.refused = ""
        self._spawner = spawner
        self._output = output
        self._channel: socket.socket | None = None
        self._turn = asyncio.Lock()  # answers come in the order of the orders
        self._dead = dead
        self._ended_already = False

    async def start(self, app: AppSpec, env: dict[str, str], writer: LogWriter, clock: Clock) -> None:
        """Start it and wait until it is usable or refused."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_MESSAGE)
        ours.setblocking(False)
        process = self.spec.process
        assert process.module is not None
        start = TemplateStart(
            channel=theirs.fileno(), module=process.module, cwd=folder(app, self.spec),
            http=process.transports != Transports(),
        )  # fmt: skip
        env = {**env, ENV_TEMPLATE: msgspec.json.encode(start).decode()}
        stdout, stderr = self._output.create(process.user)
        argv = (app.python, "-m", "omnitron.child.template")
        launch = Launch(argv, env, start.cwd, stdout, stderr, (theirs.fileno(),), process.user)
        try:
            self.pid = self._spawner.start(launch)
        except OperationError as error:
            self.refused = str(error)
            return
        finally:
            theirs.close()
            os.close(stdout)
            os.close(stderr)
        self._channel = ours
        self._output.read_on(app.app, process.name, NO_SLOT, self.pid, writer, clock)
        self._spawner.watch(self.pid, self._ended)
        await self._load(float(process.startup_timeout))

    async def _load(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                loaded = msgspec.json.decode(await self._receive(), type=Loaded)
        except TimeoutError:
            loaded = Loaded(error=f"the module was not imported within {timeout:g}s")
        except (EOFError, OSError, msgspec.DecodeError) as error:
            loaded = Loaded(error=f"the template ended while importing the module ({error})")
        if loaded.error:
            self.refused = loaded.error
        elif loaded.threads > 1:
            self.refused = f"importing the module started {loaded.threads - 1} threads, and forking them is not safe"
        self.usable = not self.refused
        if self.refused:
            self.drop()

    async def fork(self, order: Fork, descriptors: Sequence[int]) -> int:
        """The pid of a new replica, a child of ours. Raises OperationError if the template can not do it."""
        async with self._turn:
            if not self.usable or self._channel is None:
                raise OperationError("The template has ended.", remedy="It is made anew; nothing to do.")
            try:
                async with asyncio.timeout(FORK_TIMEOUT_S):
                    await self._send(msgspec.json.encode(order), descriptors)
                    answer = msgspec.json.decode(await self._receive(), type=Forked)
            except (TimeoutError, EOFError, OSError, msgspec.DecodeError) as error:
                self.drop()
                raise OperationError(f"The template did not fork: {error!r}.", remedy="It is made anew.") from None
        if answer.error:
            raise OperationError(f"The template could not fork: {answer.error}.", remedy="Look at the memory left.")
        return answer.pid

    def drop(self) -> None:
        """End it; replicas it has forked live on."""
        self.usable = False
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.pid is not None and not self._ended_already:
            self._spawner.signal(self.pid, signal.SIGKILL)

    def _ended(self, status: ExitStatus) -> None:
        self._ended_already = True
        self._output.end()
        self.drop()
        self._dead(self)

    async def _send(self, message: bytes, descriptors: Sequence[int]) -> None:
        assert self._channel is not None
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self._channel.sendmsg([message], attached)

    async def _receive(self) -> bytes:
        assert self._channel is not None
        message = await asyncio.get_running_loop().sock_recv(self._channel, MAX_MESSAGE)
        if not message:
            raise EOFError("closed")
        return message


class Templates:
    """The templates of an app, one a process. `died` is told of a process whose template in use has ended."""

    def __init__(self, spawner: Spawner, run: Path, home: Path, clock: Clock, died: Callable[[str], None]) -> None:
        self._spawner = spawner
        self._run, self._home, self._clock = run, home, clock
        self._died = died
        self._templates: dict[str, Template] = {}
        self._made: set[Template] = set()  # all that live, also those not in use
        self._numbers = itertools.count()

    def get(self, process: str) -> Template | None:
        return self._templates.get(process)

    async def make(self, app: AppSpec, spec: ProcessSpec, writer: LogWriter) -> Template:
        """A fresh template, not in use yet: see `use`."""
        output = Output(self._run, f"{spec.process.name}.template", next(self._numbers), 0)
        template = Template(spec, self._spawner, output, self._ended)
        self._made.add(template)
        env = environment(os.environ, self._home, app, spec, NO_SLOT, 0)
        await template.start(app, env, writer, self._clock)
        return template

    def use(self, process: str, template: Template) -> None:
        """Fork from this one from now on; the one before is dropped."""
        before = self.swap(process, template)
        if before is not None:
            before.drop()

    def swap(self, process: str, template: Template | None) -> Template | None:
        """Fork from this one from now on, or from none; the one before, which is not dropped."""
        before = self._templates.pop(process, None)
        if template is not None:
            self._templates[process] = template
        return before

    def drop(self, process: str) -> None:
        old = self._templates.pop(process, None)
        if old is not None:
            old.drop()

    def _ended(self, template: Template) -> None:
        process = template.spec.process.name
        self._made.discard(template)
        if self._templates.get(process) is template and not template.refused:
            del self._templates[process]
            self._died(process)

    def drop_all(self) -> None:
        self._templates.clear()
        for template in list(self._made):
            template.drop()
