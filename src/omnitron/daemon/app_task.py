"""One task owns one app of one stack: everything done to its keeper goes through this mailbox, one after the other.

Its aim is `spec`: while there is one, a keeper that is lost is found again or replaced, at once and then with backoff.
The keeper adopts the replicas itself, so losing one costs the app nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

from omnitron.base.clock import Clock
from omnitron.base.errors import CallError, OmnitronError, OperationError, Overloaded
from omnitron.base.rand import Rand
from omnitron.base.tasks import TaskSet
from omnitron.control.events import Event
from omnitron.control.keeper import AppSpec, AppStatus, KeeperApi, ServiceEndpoints
from omnitron.daemon.journal import Journal
from omnitron.daemon.keepers import Keeper, Keepers
from omnitron.model.restart import Backoff
from omnitron.supervise.processinfo import start_identity

log = logging.getLogger("omnitron.daemon")
T = TypeVar("T")
MAILBOX: Final = 256  # messages waiting
CALL_TIMEOUT_S: Final = 10.0  # of calls a keeper answers at once
END_MARGIN_S: Final = 15.0  # a keeper's own time, beyond what its replicas may take to stop
END_PER_PROCESS_S: Final = 60.0  # the keeper has limits of its own; this one is for a keeper that hangs
TRIES: Final = 3  # of telling a keeper its spec, when it dies over it
CATCH_UP_S: Final = 0.005
KILL_TIMEOUT_S: Final = 10.0
STEADY_S: Final = 60.0  # a keeper that lived this long is lost for the first time again
BACKOFF: Final = Backoff()


class Listener(Protocol):
    """The stack, as its apps see it."""

    def happened(self, app: str, event: Event) -> None:
        """An event of the app's keeper, stored already."""

    def published(self, app: str, services: list[ServiceEndpoints]) -> None:
        """What the app exposes to others, anew."""

    def connected(self, app: str) -> None:
        """A keeper answers that knows nothing of the other apps' endpoints yet."""


class AppTask:
    def __init__(
        self, stack: str, app: str, keepers: Keepers, journal: Journal, listener: Listener, clock: Clock, rand: Rand
    ) -> None:
        self.stack = stack
        self.app = app
        self.spec: AppSpec | None = None
        self.problem = ""
        """Why there is no keeper though there should be one."""
        self.refused: dict[str, str] = {}
        """By process, why its last reload failed."""
        self._keepers, self._journal, self._listener = keepers, journal, listener
        self._clock, self._rand = clock, rand
        self._keeper: Keeper | None = None
        self._streams: list[asyncio.Task[None]] = []
        self._since = 0.0
        self._losses = self._taken = 0
        self._mailbox: asyncio.Queue[Callable[[], Coroutine[Any, Any, None]]] = asyncio.Queue(MAILBOX)
        self._tasks = TaskSet(f"app {stack}/{app}")
        self._tasks.start(self._run(), "mailbox")

    def __repr__(self) -> str:
        return f"<AppTask {self.stack}/{self.app} keeper={'yes' if self._keeper else 'no'} losses={self._losses}>"

    # -- what others ask

    async def adopt(self) -> bool:
        """Connect to the keeper if one lives; start none."""
        return await self._ask(self._find)

    async def ensure(self, spec: AppSpec) -> None:
        """Have a keeper that was told the spec. Raises OperationError; it is tried again in the background."""
        self.spec = spec
        self.refused.clear()
        await self._ask(self._ensure)

    async def end(self, kill: bool = False) -> None:
        """Stop the app and its keeper, in order (kill: at once). Raises OperationError if it does not end."""
        self.spec = None
        await self._ask(lambda: self._end(kill))

    def show(self, services: list[ServiceEndpoints]) -> None:
        """Tell the keeper of other apps' endpoints."""
        self._post(lambda: self._show(services))

    def gone(self, event: Event) -> None:
        """Tell the keeper of the death of another app's replica."""
        self._post(lambda: self._gone(event.subject, int(event.data.get("incarnation") or 0), event.reason))

    async def status(self) -> AppStatus | None:
        """None if no keeper answers."""
        keeper = self._keeper
        if keeper is None or keeper.gone:
            return None
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await keeper.api.status()
        except (CallError, TimeoutError) as error:
            log.warning("the keeper of %s/%s does not say its status: %s", self.stack, self.app, error)
            return None

    @property
    def keeper(self) -> KeeperApi:
        """For commands of the operator. Raises OperationError if no keeper answers."""
        if self._keeper is None or self._keeper.gone:
            raise OperationError(
                f"App {self.app!r} of stack {self.stack!r} does not run{f': {self.problem}' if self.problem else '.'}",
                remedy=f"`omnitron start {self.app}`, or `omnitron why {self.app}`.",
            )
        return self._keeper.api

    async def close(self) -> None:
        """Let go of the keeper, which works on."""
        keeper, self._keeper = self._keeper, None
        await self._tasks.close()
        if keeper is not None:
            keeper.link.finish()

    # -- the mailbox

    def _post(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            self._mailbox.put_nowait(step)
        except asyncio.QueueFull:
            raise Overloaded(
                f"{MAILBOX} requests for app {self.app!r} wait already.", remedy="Wait until some are done."
            ) from None

    async def _ask(self, step: Callable[[], Coroutine[Any, Any, T]]) -> T:
        reply: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def answered() -> None:
            try:
                result = await step()
            except Exception as error:
                if reply.done():
                    raise
                reply.set_exception(error)
            else:
                if not reply.done():
                    reply.set_result(result)

        self._post(answered)
        return await reply

    async def _run(self) -> None:
        while True:
            step = await self._mailbox.get()
            try:
                await step()
            except Exception as error:  # whatever it was, the next message is another matter
                log.error("%s/%s: %s", self.stack, self.app, error, exc_info=not isinstance(error, OmnitronError))

    # -- what the mailbox does

    async def _find(self) -> bool:
        if self._keeper is not None and not self._keeper.gone:
            return True
        keeper = await self._keepers.find(self.stack, self.app)
        if keeper is not None:
            self._connected(keeper)
        return keeper is not None

    async def _ensure(self) -> None:
        spec = self.spec
        if spec is None:
            return
        try:
            await self._apply(spec)
        except (CallError, OperationError, TimeoutError) as error:
            self.problem = str(error) or f"its keeper does not answer within {CALL_TIMEOUT_S:g} s"
            if self._keeper is None:  # a lost one calls for another try by itself
                self._journal.tell(self.stack, self.app, "keeper.failed", self.problem, "error")
                self._again()
            raise
        self.problem = ""

    async def _apply(self, spec: AppSpec) -> None:
        for tries_left in reversed(range(TRIES)):
            if not await self._find():
                self._connected(await self._keepers.start(self.stack, self.app))
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    return await self.keeper.apply(spec)
            except CallError:
                if not tries_left or (self._keeper is not None and not self._keeper.gone):
                    raise

    async def _end(self, kill: bool) -> None:
        if not await self._find() or self._keeper is None:
            return
        keeper, status = self._keeper, await self.status()
        patience_s = END_MARGIN_S + sum(END_PER_PROCESS_S for _ in status.processes) if status else END_MARGIN_S
        identity = start_identity(status.keeper_pid) if status else ""
        for forced, limit_s in ((kill, patience_s), (True, KILL_TIMEOUT_S)):
            try:
                async with asyncio.timeout(limit_s):
                    await self._shutdown(keeper, forced)
                    if status is not None:
                        await self._keepers.ended(self.stack, self.app, status.keeper_pid, identity)
                    return
            except TimeoutError:
                self._journal.tell(
                    self.stack, self.app, "app.stop_slow", f"not stopped within {limit_s:g} s", "warning"
                )
        raise OperationError(
            f"App {self.app!r} of stack {self.stack!r} could not be stopped.",
            remedy=f"See `omnitron why {self.app}`; as a last resort kill its processes.",
        )

    async def _shutdown(self, keeper: Keeper, kill: bool) -> None:
        try:
            await keeper.api.shutdown(kill)
        except CallError as error:  # it may end before it has answered
            log.info("the keeper of %s/%s ends: %s", self.stack, self.app, error)
        await self._caught_up()
        for stream in self._streams:  # the keeper waits for those who still listen
            stream.cancel()
        if not keeper.gone:
            keeper.link.leave()
        await asyncio.shield(keeper.link.closed)

    async def _caught_up(self) -> None:
        """Take the last events, which were sent before the answer to `shutdown`."""
        before = -1
        while self._taken != before:
            before = self._taken
            await asyncio.sleep(CATCH_UP_S)

    async def _show(self, services: list[ServiceEndpoints]) -> None:
        if self._keeper is not None and not self._keeper.gone:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._keeper.api.directory(services)

    async def _gone(self, replica: str, incarnation: int, reason: str) -> None:
        if self._keeper is not None and not self._keeper.gone:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._keeper.api.gone(replica, incarnation, reason)

    # -- the connection

    def _connected(self, keeper: Keeper) -> None:
        self._keeper, self._since = keeper, self._clock.monotonic()
        self._streams = [
            self._tasks.start(self._follow(keeper), "events"),
            self._tasks.start(self._expose(keeper), "endpoints"),
        ]
        keeper.link.closed.add_done_callback(lambda _: self._lost(keeper))
        self._journal.tell(self.stack, self.app, "keeper.connected", "")
        self._listener.connected(self.app)

    async def _follow(self, keeper: Keeper) -> None:
        seq, time = self._journal.newest(self.stack, self.app)
        try:
            async for event in keeper.api.events(0):
                if event.seq > seq or event.time > time:
                    if event.kind == "rollout.failed" and self._wants(event):
                        self.refused[event.subject.partition("/")[2]] = event.reason
                    self._journal.take(event, self.app)
                    self._listener.happened(self.app, event)
                self._taken += 1
        except CallError as error:
            log.info("events of %s/%s end: %s", self.stack, self.app, error)

    def _wants(self, event: Event) -> bool:
        """Whether the reload that failed is still what is wanted."""
        processes = self.spec.processes if self.spec is not None else ()
        wanted = {f"{self.app}/{p.process.name}": p.fingerprint for p in processes}
        return wanted.get(event.subject) == event.data.get("fingerprint")

    async def _expose(self, keeper: Keeper) -> None:
        try:
            async for services in keeper.api.endpoints():
                self._listener.published(self.app, services)
        except CallError as error:
            log.info("endpoints of %s/%s end: %s", self.stack, self.app, error)

    def _lost(self, keeper: Keeper) -> None:
        if keeper is not self._keeper:
            return
        self._keeper = None
        if self.spec is None:
            self._journal.changed()
            return
        if self._clock.monotonic() - self._since > STEADY_S:
            self._losses = 0
        self._journal.tell(self.stack, self.app, "keeper.lost", "its keeper is gone; another is started", "warning")
        self._again()

    def _again(self) -> None:
        self._losses += 1
        self._tasks.start(self._retry(BACKOFF.delay(self._losses, self._rand.random())), "retry")

    async def _retry(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._post(self._ensure)
