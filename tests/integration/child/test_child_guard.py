"""A replica of a pool, in dev and elsewhere, whose service keeps state in itself."""

import pytest
from child_keeping import Keep

from omnitron.base.errors import UnsharedState
from omnitron.declare.rpc import rpc
from omnitron.declare.service import service
from omnitron.model.process import Process

CODE = """
from omnitron import on_start, rpc, service

@service("counter@1.0.0")
class Counter:
    @on_start
    async def begin(self) -> None:
        self.count = 1

    @rpc
    async def more(self) -> int:
        self.count += 1
        return self.count
"""


@service("counter@1.0.0")
class Counter:
    @rpc
    async def more(self) -> int: ...


async def test_in_dev_it_is_an_error_that_names_the_attribute(keep: Keep) -> None:
    replica = keep(CODE, Process(name="worker", module="app", instances=2), siblings=2, dev=True)
    await replica.until("ready")
    with pytest.raises(UnsharedState, match=r"Counter\.count was set during a call"):
        await replica.service(Counter).more()


async def test_elsewhere_than_in_dev_nothing_is_changed(keep: Keep) -> None:
    replica = keep(CODE, Process(name="worker", module="app", instances=2), siblings=2)
    await replica.until("ready")
    assert await replica.service(Counter).more() == 2
