"""Public test tools: fakes of every door, a simulated world, and systems inside tests. See docs/testing.md.

Each name is imported when first used, since pytest loads the plugin in every run of every user.
"""

import importlib
from typing import Any, Final

_NAMES: Final = {
    "CALM": "omnitron.testing.world",
    "DeadLetter": "omnitron.testing.feeding",
    "FakeClock": "omnitron.testing.clock",
    "FakeProcess": "omnitron.testing.processes",
    "FakeSpawner": "omnitron.testing.processes",
    "FakeStreams": "omnitron.testing.streams",
    "Faults": "omnitron.testing.world",
    "RealSystem": "omnitron.testing.real",
    "RunningApp": "omnitron.testing.app",
    "STORM": "omnitron.testing.world",
    "SeededRand": "omnitron.base.rand",
    "SimLoop": "omnitron.testing.loop",
    "SimReplica": "omnitron.testing.world",
    "World": "omnitron.testing.world",
    "running_app": "omnitron.testing.app",
}

__all__ = [*_NAMES]


def __getattr__(name: str) -> Any:
    module = _NAMES.get(name)
    if module is None:
        raise AttributeError(f"module 'omnitron.testing' has no attribute {name!r}", name=name)
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
