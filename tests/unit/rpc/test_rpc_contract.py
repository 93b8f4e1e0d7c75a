import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Protocol

import msgspec
import pytest

from omnitron.base.errors import DefinitionError, InvalidArguments
from omnitron.declare.rpc import rpc
from omnitron.declare.service import service
from omnitron.rpc.contract import contract_of
from omnitron.rpc.facts import contract_facts


class Candle(msgspec.Struct):
    symbol: str
    lock: int


class HoldsALock(msgspec.Struct):
    lock: asyncio.Lock


@service("market@1.0.0")
class Market(Protocol):
    @rpc(idempotent=True, key="symbol", deadline="5s")
    async def candles(self, symbol: str, limit: int = 10, *, interval: str = "5m", raw: bool) -> list[Candle]:
        """The newest candles."""
        ...

    @rpc
    def ticks(self, symbol: str) -> AsyncIterator[Candle]: ...

    @rpc
    async def more(self) -> AsyncGenerator[int, None]:
        yield 1

    @rpc
    def limited(self, n: Annotated[int, msgspec.Meta(ge=1)]) -> None: ...

    async def internal(self) -> None: ...


MARKET = contract_of(Market)


def test_only_marked_methods_are_in_the_contract():
    assert set(MARKET.methods) == {"candles", "ticks", "more", "limited"}
    assert (str(MARKET), MARKET.class_name) == ("market@1.0.0", "Market")
    assert [name for name, method in MARKET.methods.items() if method.stream] == ["more", "ticks"]


def test_arguments_are_put_in_the_order_of_the_parameters():
    candles = MARKET.methods["candles"]
    assert candles.bind(("BTC",), {"raw": True}) == ("BTC", 10, "5m", True)
    assert candles.bind((), {"raw": True, "symbol": "BTC", "interval": "1h"}) == ("BTC", 10, "1h", True)
    assert candles.key_of(("BTC", 10)) == "BTC"
    for args, kwargs in (((), {}), (("BTC",), {}), (("BTC", 1, 2), {"raw": True}), (("BTC",), {"raw": True, "x": 1})):
        with pytest.raises(InvalidArguments, match=r"market\.candles"):
            candles.bind(args, kwargs)


def test_values_of_a_command_line_become_what_the_annotations_say():
    assert MARKET.methods["candles"].convert(("BTC", "5"), {"raw": "true"}) == ("BTC", 5, "5m", True)
    with pytest.raises(InvalidArguments, match="`n`"):
        MARKET.methods["limited"].convert(("0",), {})


def test_facts_say_all_a_reader_needs():
    facts = {method.name: method for method in contract_facts(MARKET).methods}
    candles = facts["candles"]
    assert candles.result.endswith("Candle]")
    assert (candles.idempotent, candles.key, candles.deadline_s) == (True, "symbol", 5.0)
    assert [(p.name, p.type, p.required, p.default) for p in candles.params] == [
        ("symbol", "str", True, None),
        ("limit", "int", False, "10"),
        ("interval", "str", False, "'5m'"),
        ("raw", "bool", True, None),
    ]
    assert candles.doc == "The newest candles."
    assert candles.schema["args"]["required"] == ["symbol", "raw"]
    assert candles.schema["result"] == {"type": "array", "items": {"$ref": "#/$defs/Candle"}}
    assert facts["ticks"].stream
    msgspec.json.encode(contract_facts(MARKET))


def bad(**methods):
    return service("bad@1.0.0")(type("Bad", (), methods))


async def no_annotation(self, x) -> None: ...
async def no_result(self, x: int): ...
async def star(self, *args: int) -> None: ...
async def lock(self, x: asyncio.Lock) -> None: ...
async def deep(self, x: dict[str, list[HoldsALock]]) -> None: ...
async def iterator(self) -> AsyncIterator[int]: ...
def generator(self):
    yield 1


async def yields(self) -> int:  # type: ignore[misc]
    yield 1


async def later(self, x: "Undefined") -> None: ...  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (no_annotation, r"Bad\.method\(x\) has no annotation"),
        (no_result, r"Bad\.method does not say what it returns"),
        (star, r"Bad\.method\(args\) takes any number"),
        (lock, r"Bad\.method\(x\) holds a Lock"),
        (deep, r"Bad\.method\(x\) holds a Lock"),
        (iterator, r"Bad\.method is a coroutine that returns an iterator"),
        (yields, r"Bad\.method yields"),
        (later, r"Bad\.method can not be read"),
    ],
)
def test_a_contract_that_can_not_be_kept_is_refused_by_name(function, says):
    with pytest.raises(DefinitionError, match=says) as refused:
        contract_of(bad(method=rpc(function)))
    assert refused.value.remedy


def test_plain_generators_private_methods_and_unmarked_classes_are_refused():
    generator.__annotations__["return"] = int
    with pytest.raises(DefinitionError, match="plain generator"):
        contract_of(bad(method=rpc(generator)))
    with pytest.raises(DefinitionError, match="private"):
        contract_of(bad(_method=rpc(star)))
    with pytest.raises(DefinitionError, match="not a service"):
        contract_of(int)
