"""Services the tests call, in this process and in workers."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pydantic

from omnitron.base.errors import CallError
from omnitron.declare.rpc import rpc
from omnitron.declare.service import service
from omnitron.rpc.context import current_call


class Candle(msgspec.Struct):
    symbol: str
    close: Decimal
    at: datetime


@dataclass
class Order:
    id: UUID
    amounts: list[Decimal]
    tags: set[str]


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    name: str
    sizes: set[int]
    price: Decimal = pydantic.Field(alias="thePrice")
    inner: "Model | None" = None


class OutOfStock(CallError):
    code = "test_out_of_stock"


LEFT_BEHIND: ContextVar[Any] = ContextVar("left_behind", default=None)


class Incomparable:
    """As an array of numpy is."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value is ambiguous")


@service("work@1.0.0")
class Work:
    def __init__(self) -> None:
        self.cancelled = 0
        self.made = 0
        self.barrier = threading.Barrier(4)

    @rpc(idempotent=True)
    async def pid(self) -> int:
        return os.getpid()

    @rpc(key="symbol")
    async def pid_of(self, symbol: str) -> int:
        return os.getpid()

    @rpc
    async def once(self, seconds: float) -> int:
        return await self._sleep(seconds)

    @rpc(idempotent=True)
    async def again(self, seconds: float) -> int:
        return await self._sleep(seconds)

    async def _sleep(self, seconds: float) -> int:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return os.getpid()

    @rpc
    async def how_many_cancelled(self) -> int:
        return self.cancelled

    @rpc
    def block(self, seconds: float, *, answer: str = "done") -> str:
        time.sleep(seconds)
        return answer

    @rpc
    def meet(self) -> int:
        """Answers only when four threads are in here at once."""
        return self.barrier.wait(20)

    @rpc(max_concurrency=1)
    async def alone(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @rpc
    async def sell(self) -> None:
        raise OutOfStock("None left.", remedy="Wait.", details={"left": 0})

    @rpc
    async def fail(self) -> None:
        raise ValueError("no such thing")

    @rpc
    async def lie(self) -> int:
        return "not a number"  # type: ignore[return-value]

    @rpc
    async def unsendable(self) -> Any:
        return object.__new__(asyncio.Lock)

    @rpc
    async def candle(self, candle: Candle, factor: int = 2) -> Candle:
        return Candle(candle.symbol, candle.close * factor, candle.at)

    @rpc
    async def order(self, order: Order) -> Order:
        return order

    @rpc
    async def model(self, model: Model) -> Model:
        return model

    @rpc
    async def blob(self, data: bytes, view: memoryview | None = None) -> memoryview:
        return memoryview(data) if view is None else view

    @rpc
    async def padded(self, size: int) -> bytes:
        return bytes(size)

    @rpc
    async def numbers(self, upto: int) -> AsyncIterator[int]:
        self.made = 0
        try:
            for number in range(upto):
                self.made += 1
                yield number
        finally:
            self.cancelled += 1

    @rpc
    async def forever(self) -> AsyncIterator[int]:
        number = 0
        while True:
            yield number
            number += 1
            await asyncio.sleep(0.005)

    @rpc
    async def broken_numbers(self) -> AsyncIterator[int]:
        yield 1
        raise OutOfStock("None left.")

    @rpc
    async def how_many_made(self) -> int:
        return self.made

    @rpc
    async def who_calls(self) -> list[str | None]:
        call = current_call()
        assert call is not None
        subject = call.principal.subject if call.principal else None
        return [call.caller, subject, call.trace, call.baggage.get("tenant")]

    @rpc
    async def leave_behind(self, wait: bool) -> bool:
        """Set a context variable; whether another call had."""
        found = LEFT_BEHIND.get() is not None
        LEFT_BEHIND.set(Incomparable())
        if wait:
            await asyncio.sleep(0)
        return found

    @rpc
    async def time_left(self) -> float | None:
        call = current_call()
        assert call is not None
        return None if call.deadline is None else call.deadline - time.monotonic()

    async def secret(self) -> str:
        return "not for others"


@service("work@2.0.0")
class Work2:
    @rpc
    async def pid(self) -> str:
        return f"pid {os.getpid()}"


@service("control@1.0.0")
class Control:
    """Offered as a system service."""

    @rpc
    async def ping(self) -> str:
        return "pong"
