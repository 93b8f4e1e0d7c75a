"""Scheduled jobs: `@cron`, `@interval` and `@once` methods run once per tick among all replicas of the app.

`Scheduler` runs them (the child enters it by itself where a service has such methods); `fan_out` is for jobs that do
something for each of many. Times, missed runs and crashes: docs/kits/schedule.md.
"""

from omnitron.kits.schedule.fanout import FanOutFailed, Outcome, Results, fan_out
from omnitron.kits.schedule.ledger import Firing, Ledger
from omnitron.kits.schedule.plan import Plan, plan
from omnitron.kits.schedule.scheduler import Scheduler
from omnitron.kits.schedule.times import Times, next_fire, times_of

__all__ = [
    "FanOutFailed",
    "Firing",
    "Ledger",
    "Outcome",
    "Plan",
    "Results",
    "Scheduler",
    "Times",
    "fan_out",
    "next_fire",
    "plan",
    "times_of",
]
