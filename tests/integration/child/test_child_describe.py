"""`describe` in its throwaway processes: what it reads, and what it says about what it can not read."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omnitron.child.describe import describe
from omnitron.model.facts import Description

SYSTEM = """
from omnitron import define_system, Process, Http, Transports, Topology
print("noise of the definition")
system = define_system(name="market", version="1.0.0", processes=[
    Process(name="http", module="market.api", transports=Transports(http=Http(port=3003))),
    Process(name="pool", module="market.pool", instances=2, topology=Topology(expose=True)),
    Process(name="tool", command=["true"]),
])
"""
POOL = '''
from omnitron import service, rpc
@service("pool@1.2.0")
class Pool:
    """Works."""
    @rpc(idempotent=True, key="symbol")
    async def work(self, symbol: str, n: int = 1) -> list[int]:
        """Does it."""
        return [n]
'''
API = """
import os
from collections.abc import AsyncIterator
from omnitron import Remote, cron, interval, route, rpc, service
from market.pool import Pool
from starlette.requests import Request
print("noise of a module")
os.write(1, b"noise past Python")

class Ticks:
    class mark:
        name, max_len, max_age = "ticks", 10, None
    __omnitron_stream__ = mark
TICKS = Ticks()

@service("market@1.0.0")
class Market:
    def __init__(self, pool: Remote[Pool]) -> None: ...
    @rpc(anonymous=True)
    async def ticks(self) -> AsyncIterator[int]:
        yield 1
    @route("GET", "/symbols", public="open")
    async def symbols(self, request: Request) -> dict[str, int]: ...
    @cron("61 * * * * *")
    async def wrong(self) -> None: ...
    @interval("10s", every_replica=True)
    async def often(self) -> None: ...
"""


def write(folder: Path, **files: str) -> Path:
    (folder / "market").mkdir(exist_ok=True, parents=True)
    for name, text in files.items():
        (folder / (name.replace("__", "/") + ".py")).write_text(text)
    return folder / "system.py"


def run(*arguments: str | Path, cwd: Path) -> tuple[int, Any]:
    command = [sys.executable, "-m", "omnitron.child.describe", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def test_a_system_is_described_with_what_its_code_says(tmp_path: Path) -> None:
    path = write(tmp_path, system=SYSTEM, market__pool=POOL, market__api=API)
    code, document = run(cwd=tmp_path)
    described = msgspec.convert(document, Description)
    assert code == 0 and described.path == str(path) and described.python == sys.executable
    (app,) = described.apps
    http, pool, tool = app.processes
    assert app.cwd == str(tmp_path) and (http.error, pool.error, tool.error) == (None, None, None)
    (method,) = pool.services[0].methods
    assert pool.services[0].version == "1.2.0" and pool.services[0].doc == "Works."
    assert (method.idempotent, method.key, method.result, method.doc) == (True, "symbol", "list[int]", "Does it.")
    assert method.schema is not None and method.schema["required"] == ["symbol"]
    assert [service.name for service in http.services] == ["market"]
    (need,) = http.needs
    assert (need.class_name, need.service, need.where) == ("Pool", "pool", "market.api:Market.pool")
    assert [(job.kind, job.error != "", job.every_replica) for job in http.jobs] == [
        ("cron", True, False),
        ("interval", False, True),
    ]
    assert http.streams[0].name == "ticks" and http.streams[0].where == "market.api:TICKS"
    assert http.routes[0].source == "market.api:Market.symbols"


def test_apps_may_have_modules_of_the_same_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        code = f'from omnitron import service\n@service("{name}@1.0.0")\nclass S: ...\n'
        definition = f"""
from omnitron import *
import shared
assert shared.NAME == "{name}"
system = define_system(name="{name}", version="1.0.0", processes=[Process(name="main", module="main")])
"""
        write(tmp_path / name, system=definition, main=code, shared=f'NAME = "{name}"\n')
    ecosystem = (
        'from omnitron import *\necosystem = define_ecosystem(name="both", apps=['
        'App(name="one", system="one"), App(name="two", system="two/system.py")])\n'
    )
    (tmp_path / "ecosystem.py").write_text(ecosystem)
    code, document = run(cwd=tmp_path)
    assert code == 0, document
    found = {app.app: app.processes[0].services[0].name for app in msgspec.convert(document, Description).apps}
    assert found == {"one": "one", "two": "two"}
    assert [a["app"] for a in run("--app", "two", cwd=tmp_path)[1]["apps"]] == ["two"]


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("x = (", ["SyntaxError", "system.py:1"]),
        ("\nimport nowhere", ["ModuleNotFoundError: No module named 'nowhere'", "system.py:2"]),
        ("x = 1", ["defines nothing"]),
        (SYSTEM + "other = define_system(name='b', version='1', processes=system.processes)\n"
         "third = other\nsystem_a = system\ndel system\n", ["defines several", "other"]),
        ("from omnitron import *\nProcess(name='a')", ["says nothing about what to run", "system.py:2"]),
        ("from omnitron import *\nsystem = define_ecosystem(name='e', apps=[App(name='a', system='gone.py')])",
         ["gone.py"]),
        ("raise SystemExit(3)", ["ended the process", "system.py:1"]),
    ],
)  # fmt: skip
def test_a_broken_definition_is_told_in_a_line(tmp_path: Path, definition: str, words: list[str]) -> None:
    write(tmp_path, system=definition)
    code, document = run(cwd=tmp_path)
    assert code == 1
    message = document["error"]["message"]
    assert "Traceback" not in message and "\n" not in message
    for word in words:
        assert word in message


def test_no_definition_is_not_found(tmp_path: Path) -> None:
    code, document = run(tmp_path, cwd=tmp_path)
    assert (code, document["error"]["code"]) == (1, "not_found")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere' (market/pool.py:1)"),
        ("1 / 0", "ZeroDivisionError: division by zero (market/pool.py:1)"),
        ("raise SystemExit(3)", "SystemExit: the module ended the process with code 3 (market/pool.py:1)"),
        ("import os; os._exit(4)", "The import of market.pool ended the interpreter (status 4)."),
        (POOL + "    def __init__(self, n: complex) -> None: ...\n", "needs complex, which nobody provides"),
    ],
)
def test_a_module_that_can_not_be_read_is_a_fact(tmp_path: Path, module: str, words: str) -> None:
    path = write(tmp_path, system=SYSTEM, market__pool=module, market__api="")
    http, pool, _ = describe(path).apps[0].processes
    assert http.error is None and words in (pool.error or "")


def test_an_import_without_end_is_given_up(tmp_path: Path) -> None:
    path = write(tmp_path, system=SYSTEM, market__pool="while True: pass", market__api="")
    http, pool, _ = describe(path, timeout_s=3).apps[0].processes
    assert http.error is None and "did not end within 3 s" in (pool.error or "")


def test_threads_that_an_import_starts_are_counted(tmp_path: Path) -> None:
    module = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
    path = write(tmp_path, system=SYSTEM, market__pool=module, market__api="")
    http, pool, _ = describe(path).apps[0].processes
    assert (http.threads_after_import, pool.threads_after_import) == (0, 1)
