"""The schedule. It only dispatches, so the process goes on answering HTTP while the pool works."""

import logging
import time

from starlette.requests import Request

from omnitron import Remote, cron, route, service
from omnitron.kits.schedule import fan_out
from reports.runs import Runs
from reports.worker import ReportWorker

log = logging.getLogger("reports")
CUSTOMERS = range(1, 21)


@service("reports@1.0.0")
class Reports:
    def __init__(self, pool: Remote[ReportWorker], runs: Runs) -> None:
        self._pool, self._runs = pool, runs

    @cron("*/2 * * * * *", overlap="skip")
    async def every_two_seconds(self) -> None:
        """All customers, at most eight at a time; one that fails does not stop the others."""
        began = time.time()
        results = await fan_out(
            CUSTOMERS, lambda customer: self._pool.build(customer, "today"), limit=8, deadline="10s"
        )
        for outcome in results.failed:
            log.warning("no report for customer %s: %s", outcome.item, outcome.error)
        self._runs.add(began, len(results.ok), len(results.failed))

    @cron("0 30 2 * * *", timezone="Europe/Paris", misfire="run_once", misfire_grace="6h")
    async def nightly(self) -> None:
        """Half past two in Paris, which summer time skips once a year and repeats once: it runs once each day."""
        await self.every_two_seconds()

    @route("GET", "/runs", public="counts only")
    async def runs(self, request: Request) -> list[dict[str, str | int]]:
        """The latest runs by whichever replica."""
        return self._runs.latest()
