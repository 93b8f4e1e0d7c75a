import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnitron.base.errors import InvalidArguments, InvalidResult
from omnitron.wire.codec import ArgumentsDecoder, decoder, encode, result_decoder


class Point(msgspec.Struct):
    x: int
    y: Decimal


@dataclass
class Line:
    ends: tuple[Point, Point]


class Person(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    name: str
    born: datetime
    sizes: frozenset[int]
    photo: bytes
    wealth: Decimal = pydantic.Field(alias="netWorth")


SAMPLES: list[tuple[Any, Any]] = [
    (Point, Point(1, Decimal("1.5"))),
    (Line, Line((Point(1, Decimal(1)), Point(2, Decimal(2))))),
    (set[int], {1, 2}),
    (bytes, b"\xff\x00"),
    (datetime, datetime(2026, 1, 2, tzinfo=UTC)),
    (UUID, UUID(int=7)),
    (Person, Person(name="a", born=datetime(1, 1, 1), sizes=frozenset({1}), photo=b"\xff", netWorth=Decimal("0.1"))),
    (dict[str, list[Point] | None], {"a": [Point(0, Decimal(0))], "b": None}),
]


@pytest.mark.parametrize(("annotation", "value"), SAMPLES)
def test_values_come_back_as_they_were(annotation, value):
    assert decoder(annotation)(encode(value)) == value
    assert decoder(list[annotation])(encode([value])) == [value]


def test_a_memoryview_is_taken_and_given_without_a_copy():
    data = encode(memoryview(b"abc"))
    view = decoder(memoryview)(data)
    assert view.obj is data
    assert bytes(view) == b"abc"


def test_results_that_do_not_fit_are_invalid():
    with pytest.raises(InvalidResult, match=r"shop\.price"):
        result_decoder(int, "shop.price")(encode("x"))
    with pytest.raises(InvalidResult, match="name"):
        result_decoder(Person, "shop.owner")(encode({"name": 1}))


ARGS = ArgumentsDecoder("shop.sell", ["item", "count", "note"], [str, int, str | None], 1)


def test_trailing_arguments_may_be_missing():
    assert ARGS(encode(("a",))) == ("a",)
    assert ARGS(encode(("a", 1, None))) == ("a", 1, None)


def test_the_argument_that_does_not_fit_is_named():
    with pytest.raises(InvalidArguments, match="`count`"):
        ARGS(encode(("a", "b")))


@pytest.mark.parametrize("args", [(), ("a", 1, None, 4), tuple(range(20))])
def test_a_wrong_number_of_arguments_is_refused(args):
    with pytest.raises(InvalidArguments, match="1 to 3 arguments"):
        ARGS(encode(args))


def test_more_than_fifteen_parameters_travel_too():
    many = ArgumentsDecoder("shop.many", [f"p{n}" for n in range(20)], [int] * 20, 0)
    assert many(encode(tuple(range(20)))) == tuple(range(20))
    assert many(encode(())) == ()


@given(st.binary(min_size=1, max_size=50))
def test_garbage_is_invalid_arguments_and_nothing_else(data):
    try:
        ARGS(data)
    except InvalidArguments:
        pass


def test_pydantic_is_not_imported_for_those_who_do_not_use_it():
    code = "import sys, omnitron.wire.codec, omnitron.rpc.blocking; print({'pydantic', 'asyncio'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
