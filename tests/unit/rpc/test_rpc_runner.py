"""Calls on lanes: begun where they arrive, and yet tasks of their own to whoever looks."""

import asyncio
from contextvars import ContextVar, copy_context
from types import coroutine

import anyio
import pytest

from omnitron.base.clock import SystemClock
from omnitron.rpc.runner import CHANGED, CLEAN, Runner

VAR: ContextVar[str] = ContextVar("var", default="")


class Work:
    """A call that runs `function` and keeps how it ended."""

    def __init__(self, function):
        self.function, self.task = function, None
        self.ended = asyncio.get_running_loop().create_future()


@coroutine
def run_works():
    ended = CLEAN
    while True:
        work = yield ended
        before = copy_context()
        try:
            result = yield from work.function()
        except BaseException as error:
            result = type(error)
        work.ended.set_result(result)
        ended = CLEAN if copy_context() == before else CHANGED


@pytest.fixture
async def runner():
    runner = Runner(asyncio.get_running_loop(), SystemClock(), run_works)
    yield runner
    runner.close()


async def together(runner, *functions):
    """Begin all in one callback, as a read from a socket does; the works, and how many had ended in it."""
    works, begun = [Work(function) for function in functions], asyncio.get_running_loop().create_future()

    def callback():
        for work in works:
            runner.add(work)
        runner.pause()
        begun.set_result(sum(work.ended.done() for work in works))

    asyncio.get_running_loop().call_soon(callback)
    return works, await begun


async def results(runner, *functions):
    works, _ = await together(runner, *functions)
    async with asyncio.timeout(5):
        return [await work.ended for work in works]


async def value():
    return 1


async def wait():
    await asyncio.sleep(0)
    return 2


async def warm(runner):
    assert await results(runner, value) == [1]


async def test_calls_that_do_not_wait_end_in_the_callback_that_brought_them(runner):
    await warm(runner)
    _, at_once = await together(runner, *[value] * 10)
    assert at_once == 10


async def test_calls_that_wait_run_side_by_side_with_the_others(runner):
    await warm(runner)
    gate = asyncio.Event()
    works, at_once = await together(runner, gate.wait, *[gate.wait, value] * 40)
    assert at_once == 0
    async with asyncio.timeout(5):
        for work in works:
            if work.function is value:
                await work.ended
        gate.set()
        assert [await work.ended for work in works[:3]] == [True, True, 1]
    assert len({id(work.task) for work in works if work.function is not value}) == 41


@pytest.mark.parametrize("after", [value, wait])
async def test_no_call_sees_the_variables_of_another(runner, after):
    async def change():
        seen = VAR.get()
        VAR.set("changed")
        await after()
        return seen, VAR.get()

    await warm(runner)
    assert await results(runner, *[change] * 3) == [("", "changed")] * 3
    assert await results(runner, change) == [("", "changed")]


async def test_a_call_has_one_task_before_and_after_its_wait(runner):
    async def look():
        before = asyncio.current_task()
        await asyncio.sleep(0)
        return before is not None and before is asyncio.current_task()

    await warm(runner)
    assert await results(runner, look, look) == [True, True]


async def test_timeouts_groups_and_anyio_work_from_the_first_step_on(runner):
    async def late():
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        except TimeoutError:
            return "late", asyncio.current_task().cancelling()

    async def group():
        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(wait()) for _ in range(3)]
        return sum(task.result() for task in made)

    async def scope():
        with anyio.move_on_after(0) as scope:
            await anyio.sleep(60)
        return scope.cancelled_caught

    await warm(runner)
    expected = [("late", 0), 6, True]
    assert await results(runner, late, group, scope) == expected
    for function, result in zip((late, group, scope), expected, strict=True):
        await warm(runner)
        assert await results(runner, function) == [result]


async def test_a_call_cancelled_before_its_task_has_taken_it_over_cancels_what_it_waits_for(runner):
    inner = asyncio.get_running_loop().create_future()

    async def wait_for_inner():
        await inner

    await warm(runner)
    (work,), _ = await together(runner, wait_for_inner)
    work.task.cancel()
    async with asyncio.timeout(5):
        assert await work.ended is asyncio.CancelledError
    assert inner.cancelled()


async def test_a_call_that_cancels_itself_harms_no_other(runner):
    async def suicide():
        asyncio.current_task().cancel()
        return "no wait"

    async def slow_suicide():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    await warm(runner)
    assert await results(runner, suicide, slow_suicide, wait, value) == ["no wait", asyncio.CancelledError, 2, 1]
    assert await results(runner, slow_suicide, value) == [asyncio.CancelledError, 1]


async def test_inside_a_task_a_call_begins_later(runner):
    await warm(runner)
    work = Work(value)
    runner.add(work)
    runner.pause()
    assert not work.ended.done()
    async with asyncio.timeout(5):
        assert await work.ended == 1
