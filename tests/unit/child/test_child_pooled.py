"""The guard of a pool's services, on classes of many kinds. That a replica applies it: test_child_guard.py."""

import asyncio
from contextvars import copy_context
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import pytest

from omnitron.base.errors import UnsharedState
from omnitron.child.pooled import guard, is_guarded
from omnitron.control.replica import BootSpec
from omnitron.declare.service import service, service_mark
from omnitron.model.process import Process
from omnitron.model.scaling import Scaling
from omnitron.rpc.context import call_context, use_call


@service("plain@1.0.0")
class Plain:
    def __init__(self) -> None:
        self.count = 0

    @property
    def elsewhere(self) -> int:
        return self.kept["elsewhere"]

    @elsewhere.setter
    def elsewhere(self, value: int) -> None:
        self.kept["elsewhere"] = value

    @cached_property
    def kept(self) -> dict[str, int]:
        return {}


class Slotted:
    __slots__ = ("count",)


class Careful:
    """Has a `__setattr__` of its own."""

    def __setattr__(self, name: str, value: int) -> None:
        super().__setattr__(name, value + 1)


@dataclass(slots=True)
class Counted:
    count: int = 0


@pytest.mark.parametrize("cls", [Plain, Slotted, Careful, Counted])
def test_an_attribute_is_set_at_any_time_but_during_a_call(cls: type[Any]) -> None:
    instance = cls()
    guard(instance)
    instance.count = 1
    with use_call(call_context()), pytest.raises(UnsharedState, match=rf"{cls.__name__}\.count was set during a call"):
        instance.count = 2
    assert instance.count == (2 if cls is Careful else 1)


def test_it_is_what_it_was_for_everybody_else() -> None:
    instance = Plain()
    guard(instance)
    assert isinstance(instance, Plain) and type(instance).__qualname__ == "Plain"
    assert service_mark(type(instance)) == service_mark(Plain)
    assert service_mark(type(instance)) is not None


def test_a_property_and_a_cached_property_may_be_set_during_a_call() -> None:
    instance = Plain()
    guard(instance)
    with use_call(call_context()):
        instance.elsewhere = 5
    assert instance.kept == {"elsewhere": 5}


async def test_a_thread_and_a_task_of_a_call_are_part_of_it() -> None:
    instance = Plain()
    guard(instance)

    async def in_a_task() -> None:
        instance.count += 1

    with use_call(call_context()):
        task = asyncio.get_running_loop().create_task(in_a_task())
        with pytest.raises(UnsharedState):
            await task
        with pytest.raises(UnsharedState):
            await asyncio.to_thread(copy_context().run, setattr, instance, "count", 1)


def test_what_can_not_be_guarded_is_left_as_it_is() -> None:
    class Packed(msgspec.Struct):
        count: int = 0

    instance = Packed()
    guard(instance)
    with use_call(call_context()):
        instance.count = 1
    assert instance.count == 1


AUTO = Scaling(strategy="auto", max_instances=4)


@pytest.mark.parametrize(
    ("dev", "siblings", "process", "guarded"),
    [
        (True, 1, {}, False),
        (True, 2, {}, True),
        (True, 1, {"instances": 2}, True),
        (True, 1, {"scaling": AUTO}, True),
        (False, 2, {"instances": 2}, False),
    ],
)
def test_only_pools_are_guarded_and_only_in_dev(
    dev: bool, siblings: int, process: dict[str, Any], guarded: bool
) -> None:
    boot = BootSpec(
        stack="s", app="a", version="1", process={}, slot=0, incarnation=1, cwd="/", control_fd=0, siblings=siblings,
        dev=dev,
    )  # fmt: skip
    assert is_guarded(boot, Process(name="p", module="m", **process)) is guarded
