from child_keeping import Keep

from omnitron.declare.rpc import rpc
from omnitron.declare.service import service

GREETER = """
from omnitron.declare.service import service
from omnitron.declare.rpc import rpc

@service("greeter@1.0.0")
class Greeter:
    @rpc
    async def hello(self, name: str) -> str:
        return f"hello {name}"
"""


@service("greeter@1.0.0")
class Greeter:
    @rpc
    async def hello(self, name: str) -> str:
        raise NotImplementedError


async def test_a_replica_reports_its_way_and_serves_when_ready(keep: Keep) -> None:
    replica = keep(GREETER)
    await replica.until("ready")
    assert [report.phase for report in replica.reports][-1] == "ready"
    assert await replica.service(Greeter).hello("you") == "hello you"
    api = await replica.connect()
    stats = await api.ping()
    assert stats.ready and stats.calls == 1


async def test_sigterm_drains_and_ends_with_code_0(keep: Keep) -> None:
    replica = keep(GREETER)
    await replica.until("ready")
    replica.terminate()
    assert await replica.exit_code() == 0


async def test_a_module_that_does_not_import_fails_with_its_line(keep: Keep) -> None:
    replica = keep("x = 1\nimport nowhere\n")
    report = await replica.until("failed")
    assert report.detail == "ModuleNotFoundError: No module named 'nowhere' (app.py:2)"
    assert "Traceback" in report.trace
    assert await replica.exit_code() == 70


async def test_a_missing_provider_fails_the_boot_and_names_the_chain(keep: Keep) -> None:
    replica = keep(GREETER + "    def __init__(self, n: complex) -> None: ...\n")
    report = await replica.until("failed")
    assert report.detail.startswith("Greeter.__init__(n: complex) needs complex, which nobody provides.")
    assert await replica.exit_code() == 70
