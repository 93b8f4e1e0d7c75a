import asyncio

from omnitron.testing.clock import FakeClock


async def test_sleepers_wake_in_the_order_of_their_times_and_not_before():
    clock, woken = FakeClock(), []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(n, s)) for n, s in (("late", 5.0), ("early", 2.0), ("tie", 2.0))]
    await clock.advance(1.9)
    assert woken == [] and clock.sleeping == 3
    await clock.advance(0.2)
    assert woken == [("early", 2.0), ("tie", 2.0)]
    await clock.advance(10)
    assert woken[2:] == [("late", 5.0)] and clock.sleeping == 0
    await asyncio.gather(*tasks)


async def test_a_sleeper_that_sleeps_again_is_woken_again_within_one_advance():
    clock, ticks = FakeClock(start=1000.0), []

    async def ticker() -> None:
        while True:
            await clock.sleep(1.0)
            ticks.append(clock.now())

    task = asyncio.create_task(ticker())
    await clock.advance(3.5)
    task.cancel()
    assert ticks == [1001.0, 1002.0, 1003.0] and clock.now() == 1003.5


async def test_a_cancelled_sleeper_and_no_time_at_all_do_no_harm():
    clock = FakeClock()
    await clock.sleep(0)
    task = asyncio.create_task(clock.sleep(1.0))
    await clock.advance(0.5)
    task.cancel()
    await clock.advance(1.0)
    assert clock.sleeping == 0 and clock.monotonic() == 1.5
