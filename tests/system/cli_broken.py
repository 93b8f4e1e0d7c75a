"""Definitions that can not work, one for each way that is found before anything starts."""

HEAD = """
from omnitron import *
from omnitron.model.needs import Needs
from omnitron.kits.streams import Stream
"""

SERVICE = """
from omnitron import *
@service("{name}@1.0.0")
class {cls}:
    @rpc
    async def hello(self) -> str: return "hello"
"""


def system(*processes: str, head: str = "") -> str:
    return f'{HEAD}{head}\nsystem = define_system(name="broken", version="1.0.0", processes=[{", ".join(processes)}])\n'


GREETER = 'Process(name="greeter", module="mod.greeter", topology=Topology(expose=True))'
USER = """
from omnitron import *
from starlette.requests import Request
from mod.greeter import Greeter
@service("user@1.0.0")
class User:
    def __init__(self, greeter: Remote[Greeter]) -> None: self.greeter = greeter
    @route("GET", "/", {who})
    async def page(self, request: Request) -> str: return await self.greeter.hello()
"""
PUBLIC = USER.format(who='public="all may"')

# name: (files, code or words that must be said)
BROKEN: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "syntax error": ({"system.py": "system = define_system(\n"}, ("system.py",)),
    "nothing defined": ({"system.py": "x = 1\n"}, ("define_system",)),
    "singleton with instances": (
        {"system.py": system('Process(name="one", command=["true"], singleton=True, instances=2)')},
        ("singleton", "instances"),
    ),
    "unknown option": ({"system.py": system('Process(name="one", command=["true"], instance=2)')}, ("instance",)),
    "nothing to run": ({"system.py": system('Process(name="one")')}, ("module", "command")),
    "unreadable size": (
        {
            "system.py": system(
                'Process(name="one", command=["true"], '
                'transports=Transports(http=Http(port=1, max_request_size="10 cows")))'
            )
        },
        ("10 cows",),
    ),
    "auto below instances": (
        {
            "system.py": system(
                'Process(name="one", command=["true"], instances=4, scaling=Scaling(strategy="auto", max_instances=2))'
            )
        },
        ("max_instances",),
    ),
    "unbounded stream": (
        {
            "system.py": system('Process(name="one", module="mod.one")'),
            "mod/one.py": HEAD
            + 'TICKS = Stream("ticks", type=int)\n@service("one@1.0.0")\nclass One:\n'
            + "    @rpc\n    async def hello(self) -> int: return 1\n",
        },
        ("ticks", "max_len"),
    ),
    "module that is not there": ({"system.py": system('Process(name="one", module="mod.nowhere")')}, ("nowhere",)),
    "module that fails": (
        {"system.py": system('Process(name="one", module="mod.one")'), "mod/one.py": "1 / 0\n"},
        ("module.broken", "division by zero"),
    ),
    "need nobody exposes": (
        {"system.py": system('Process(name="user", module="mod.user", transports=Transports(http=Http(port=0)))')},
        ("need.unknown", "Greeter"),
    ),
    "need not exposed": (
        {
            "system.py": system(
                'Process(name="user", module="mod.user", transports=Transports(http=Http(port=0)))',
                'Process(name="greeter", module="mod.greeter")',
            )
        },
        ("need.not_exposed", "expose=True"),
    ),
    "access with a slip of the pen": (
        {
            "system.py": system(
                'Process(name="user", module="mod.user", transports=Transports(http=Http(port=0)), '
                'topology=Topology(access=["Greetr"]))',
                GREETER,
            )
        },
        ("need.unknown", "Did you mean 'Greeter'"),
    ),
    "access that leaves out what is used": (
        {
            "system.py": system(
                'Process(name="user", module="mod.user", transports=Transports(http=Http(port=0)), '
                "topology=Topology(access=[]))",
                GREETER,
            )
        },
        ("need.no_access",),
    ),
    "five fields of cron": (
        {
            "system.py": system('Process(name="one", module="mod.one")'),
            "mod/one.py": HEAD
            + '@service("one@1.0.0")\nclass One:\n    @cron("*/5 * * *")\n    async def job(self) -> None: ...\n',
        },
        ("job.unreadable", "second"),
    ),
    "two processes on one port": (
        {
            "system.py": system(
                'Process(name="one", command=["true"], transports=Transports(http=Http(port=8123)))',
                'Process(name="two", command=["true"], transports=Transports(http=Http(port=8123)))',
            )
        },
        ("port.clash", "8123", "broken/one", "broken/two"),
    ),
    "route that does not say who may enter": (
        {
            "system.py": system(
                'Process(name="user", module="mod.user", transports=Transports(http=Http(port=0)))', GREETER
            ),
            "mod/user.py": USER.format(who=""),
        },
        ("route.open", "public="),
    ),
    "routes without a transport": (
        {"system.py": system('Process(name="user", module="mod.user")', GREETER)},
        ("route.no_transport",),
    ),
    "circle of dependencies": (
        {
            "system.py": system(
                'Process(name="one", command=["true"], depends_on=["two"])',
                'Process(name="two", command=["true"], depends_on=["one"])',
            )
        },
        ("dependency.cycle", "one -> two -> one"),
    ),
    "dependency that is not there": (
        {"system.py": system('Process(name="one", command=["true"], depends_on=["tow"])')},
        ("dependency.unknown", "tow"),
    ),
    "stacks that meet": (
        {
            "ecosystem.py": HEAD
            + 'system = define_system(name="broken", version="1.0.0", processes=[Process(name="a", command=["a"])])\n'
            + "ecosystem = define_ecosystem(name='two', apps=[App(name='broken', system=system)], stacks={\n"
            + "    'dev': Stack(settings=StackSettings(redis_db_offset=4)),\n"
            + "    'staging': Stack(settings=StackSettings(redis_db_offset=4))})\n"
        },
        ("stack.overlap", "dev", "staging"),
    ),
}

COMMON = {"mod/__init__.py": "", "mod/greeter.py": SERVICE.format(name="greeter", cls="Greeter"), "mod/user.py": PUBLIC}
