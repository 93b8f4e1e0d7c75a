"""`Scheduler`: runs the scheduled methods of a replica's services. One task per job: plan, claim, run, sleep."""

import asyncio
import inspect
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, Self, TypeVar

from omnitron.base.clock import Clock
from omnitron.base.errors import DefinitionError
from omnitron.base.tasks import TaskSet
from omnitron.control.provide import ProvideContext
from omnitron.declare.schedule import ScheduleMark, schedule_marks
from omnitron.declare.service import service_mark
from omnitron.kits.schedule.ledger import LEASE_S, Firing, Ledger, Outcome
from omnitron.kits.schedule.plan import plan
from omnitron.kits.schedule.times import times_of

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger("omnitron.schedule")

MAX_SLEEP_S: Final = 10.0  # so that a clock set anew, and firings of the dead, are noticed
QUEUE_POLL_S: Final = 0.25
STOP_TIMEOUT_S: Final = 30.0  # the replica's own stop timeout is usually shorter, and then counts


@dataclass(frozen=True, slots=True)
class Job:
    name: str
    mark: ScheduleMark
    call: Callable[[], Any]


class Scheduler:
    """owner: this process, no other before or after it. ledger: shared by the replicas, for jobs that fire once."""

    def __init__(
        self, jobs: Sequence[Job], ledger: Ledger, owner: str, clock: Clock, metrics: dict[str, float]
    ) -> None:
        for job in jobs:
            times_of(job.mark, 0.0)  # a wrong expression fails here, not in the middle of the night
        self.jobs = {job.name: job for job in jobs}
        if len(self.jobs) < len(jobs):
            raise DefinitionError(
                f"Two scheduled jobs have one name, among {', '.join(job.name for job in jobs)}.",
                remedy='Give one another name, as in @cron(..., name="nightly-report").',
            )
        self._shared, self._own = ledger, Ledger(None)
        self._owner, self._clock, self._metrics = owner, clock, metrics
        self._loops = TaskSet("schedule")
        self._runs = TaskSet("jobs")
        self._running: set[asyncio.Task[None]] = set()
        self._deciding = asyncio.Lock()  # what is claimed is begun, also if a stop comes in between

    @classmethod
    async def __omnitron_provide__(cls, ctx: ProvideContext) -> AsyncIterator[Self]:
        ledger = Ledger(ctx.state_dir / "schedule.db")
        owner = f"{ctx.replica}#{ctx.rand.token(4)}"
        scheduler = cls(jobs_of(ctx.services), ledger, owner, ctx.clock, ctx.metrics)
        scheduler.start()
        try:
            yield scheduler
        finally:
            await scheduler.stop()
            ledger.close()

    def start(self) -> None:
        for job in self.jobs.values():
            self._loops.start(self._watch(job), job.name)
        self._loops.start(self._renew(), "renew")

    async def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Fire no more; let what runs end within `timeout` seconds, then cancel it."""
        async with self._deciding:
            await self._loops.close()
        renewing = TaskSet("schedule")
        renewing.start(self._renew(), "renew")
        if self._running:
            await asyncio.wait(self._running, timeout=timeout)
        await self._runs.close()
        await renewing.close()
        self._own.close()

    async def history(self, job: str) -> list[Firing]:
        """The latest firings of the job by any replica, newest first."""
        return await self._ask(self._ledger(self.jobs[job]).history, job)

    def _ledger(self, job: Job) -> Ledger:
        return self._own if job.mark.policy.every_replica else self._shared

    async def _ask(self, question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """A file may make one wait for the disk or another replica: not on the event loop."""
        ledger = getattr(question, "__self__", None)
        if isinstance(ledger, Ledger) and ledger.path is None:
            return question(*args, **kwargs)
        return await asyncio.to_thread(question, *args, **kwargs)

    async def _watch(self, job: Job) -> None:
        while True:
            delay = MAX_SLEEP_S
            try:
                async with self._deciding:
                    wake = await self._fire_due(job)
                if wake is not None:
                    delay = min(delay, max(0.0, wake - self._clock.now()))
            except sqlite3.Error as error:
                log.error("job %s: the ledger %s fails: %s", job.name, self._ledger(job).path, error)
            await self._clock.sleep(delay)

    async def _fire_due(self, job: Job) -> float | None:
        ledger, now = self._ledger(job), self._clock.now()
        since, seen = await self._ask(ledger.job, job.name, now)
        policy = job.mark.policy
        planned = plan(times_of(job.mark, since), policy, seen, now)
        overlap = policy.overlap
        if policy.misfire == "run_all" and overlap == "skip" and len(planned.fire) > 1:
            overlap = "queue"  # made up for one after the other: they must not skip each other
        for scheduled in planned.fire:
            claim = await self._ask(ledger.claim, job.name, scheduled, self._owner, overlap, now)
            if claim == "running" or claim == "queued":
                self._begin(job, scheduled, queued=claim == "queued")
            elif claim == "skipped":
                self._count(job, "skipped")
                log.warning("job %s: skipped, the last run is still going", job.name)
        if planned.fire or planned.skipped:
            await self._ask(ledger.advance, job.name, max(seen, now))
        for scheduled in await self._ask(ledger.orphans, job.name, self._owner, now, retry=policy.retry_on_crash):
            log.error("job %s: the replica that ran it died", job.name, extra={"scheduled": scheduled})
            if policy.retry_on_crash:
                self._begin(job, scheduled, queued=False)
            else:
                self._count(job, "lost")
        return planned.wake

    def _begin(self, job: Job, scheduled: float, *, queued: bool) -> None:
        task = self._runs.start(self._run(job, scheduled, queued), job.name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, job: Job, scheduled: float, queued: bool) -> None:
        ledger = self._ledger(job)
        outcome: Outcome = "cancelled"
        error = ""
        try:
            while queued and not await self._ask(ledger.start, job.name, scheduled, self._clock.now()):
                await self._clock.sleep(QUEUE_POLL_S)
            began = self._clock.monotonic()
            try:
                if inspect.iscoroutinefunction(job.call):
                    await job.call()
                else:
                    await asyncio.to_thread(job.call)
                outcome = "ok"
            except Exception as raised:
                outcome, error = "failed", f"{type(raised).__name__}: {raised}"
                log.exception("job %s failed", job.name)
            self._metrics[f"schedule.{job.name}.last_s"] = self._clock.monotonic() - began
            self._metrics[f"schedule.{job.name}.last_at"] = self._clock.now()
        finally:
            self._count(job, outcome)
            await self._finish(job, scheduled, outcome, error)

    async def _finish(self, job: Job, scheduled: float, outcome: Outcome, error: str) -> None:
        ledger = self._ledger(job)
        try:
            await self._ask(ledger.finish, job.name, scheduled, self._owner, outcome, error, self._clock.now())
        except sqlite3.Error as failure:
            log.error("job %s: its outcome %r could not be noted: %s", job.name, outcome, failure)

    def _count(self, job: Job, what: str) -> None:
        key = f"schedule.{job.name}.{what}"
        self._metrics[key] = self._metrics.get(key, 0) + 1

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(LEASE_S / 3)
            if self._running:
                try:
                    await self._ask(self._shared.renew, self._owner, self._clock.now())
                    self._own.renew(self._owner, self._clock.now())
                except sqlite3.Error as error:
                    log.error("the leases of running jobs could not be renewed: %s", error)


def jobs_of(services: Sequence[object]) -> list[Job]:
    """The scheduled methods of the instances, named `service.method` or as marked, numbered if marked twice."""
    jobs: list[Job] = []
    for service in services:
        cls = type(service)
        mark = service_mark(cls)
        for name in dir(cls):
            marks = schedule_marks(getattr(cls, name, None))
            for number, schedule in enumerate(marks):
                default = f"{mark.name if mark else cls.__name__}.{name}" + (f".{number}" if len(marks) > 1 else "")
                jobs.append(Job(schedule.policy.name or default, schedule, getattr(service, name)))
    return jobs
