"""Waiting until a server that runs also answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from omnitron.base.errors import OperationError
from omnitron.infra.plan import ServicePlan

READY_TIMEOUT: Final = 60.0  # seconds until the server must accept us; it may be reading its log after a crash
RETRY_EVERY: Final = 0.02  # seconds

T = TypeVar("T")


class NotYet(Exception):
    """It is starting, or not there yet. str: what it said."""


async def until_ready(plan: ServicePlan, connect: Callable[[], Awaitable[T]]) -> T:
    """What `connect` returns, once it raises no `NotYet` any more."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_TIMEOUT
    while True:
        try:
            return await connect()
        except NotYet as error:
            if loop.time() > deadline:
                raise OperationError(
                    f"{plan.name} of stack {plan.stack!r} does not answer after {READY_TIMEOUT:g} s: {error}.",
                    remedy=f"See `omnitron logs infra/{plan.name}`." if plan.native else "Check its url and its host.",
                ) from None
        await asyncio.sleep(RETRY_EVERY)


def refused(plan: ServicePlan, why: object) -> OperationError:
    """The error when the server is there and does not let us in."""
    return OperationError(
        f"{plan.name} of stack {plan.stack!r} refuses the connection: {why}.",
        remedy="" if plan.native else "Check user, password and database of its url.",
    )
