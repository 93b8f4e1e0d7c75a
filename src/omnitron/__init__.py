"""Omnitron: the application server for Python.

The public names, each imported when first used: `import omnitron` costs nothing, and the CLI does not pay for what only
replicas need. Type checkers read `__init__.pyi`; a test keeps both the same.
"""

import importlib
import sys
from types import ModuleType
from typing import Any, Final

__version__: Final = "0.1.0"

_NAMES: Final = {
    "App": "omnitron.model.ecosystem",
    "Backoff": "omnitron.model.restart",
    "CallContext": "omnitron.rpc.context",
    "CallError": "omnitron.base.errors",
    "Cancelled": "omnitron.base.errors",
    "CustomRoute": "omnitron.model.routes",
    "DatabaseNeed": "omnitron.model.needs",
    "DeadlineExceeded": "omnitron.base.errors",
    "DefinitionError": "omnitron.base.errors",
    "Ecosystem": "omnitron.model.ecosystem",
    "Forbidden": "omnitron.base.errors",
    "Health": "omnitron.model.health",
    "Hooks": "omnitron.model.hooks",
    "Http": "omnitron.model.transports",
    "InfraService": "omnitron.model.infrastructure",
    "Infrastructure": "omnitron.model.infrastructure",
    "InvalidArguments": "omnitron.base.errors",
    "KeepAlive": "omnitron.model.transports",
    "Limits": "omnitron.model.scaling",
    "Moved": "omnitron.rpc.moved",
    "Needs": "omnitron.model.needs",
    "NotExecuted": "omnitron.base.errors",
    "NotFound": "omnitron.base.errors",
    "OmnitronError": "omnitron.base.errors",
    "OperationError": "omnitron.base.errors",
    "Overloaded": "omnitron.base.errors",
    "Process": "omnitron.model.process",
    "ProvideContext": "omnitron.control.provide",
    "Recycle": "omnitron.model.scaling",
    "Refused": "omnitron.base.errors",
    "Remote": "omnitron.declare.remote",
    "RemoteError": "omnitron.base.errors",
    "Restart": "omnitron.model.restart",
    "Scaling": "omnitron.model.scaling",
    "ServiceNotFound": "omnitron.base.errors",
    "Shutdown": "omnitron.model.shutdown",
    "Stack": "omnitron.model.stack",
    "StackSettings": "omnitron.model.stack",
    "System": "omnitron.model.system",
    "Topology": "omnitron.model.topology",
    "Transports": "omnitron.model.transports",
    "Unavailable": "omnitron.base.errors",
    "WebSocket": "omnitron.model.transports",
    "WorkerDied": "omnitron.base.errors",
    "cron": "omnitron.declare.schedule",
    "current_call": "omnitron.rpc.context",
    "define_ecosystem": "omnitron.model.ecosystem",
    "define_system": "omnitron.model.system",
    "interval": "omnitron.declare.schedule",
    "on_start": "omnitron.declare.hooks",
    "on_stop": "omnitron.declare.hooks",
    "once": "omnitron.declare.schedule",
    "provide": "omnitron.declare.hooks",
    "route": "omnitron.declare.route",
    "rpc": "omnitron.declare.rpc",
    "service": "omnitron.declare.service",
    "warmup": "omnitron.declare.hooks",
    "with_options": "omnitron.rpc.proxy",
}
_RENAMED: Final = {"DatabaseNeed": "Database"}
"""Where the defining module uses a shorter word."""

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str) -> Any:
    module = _NAMES.get(name)
    if module is None:
        raise AttributeError(f"module 'omnitron' has no attribute {name!r}", name=name)
    value = getattr(importlib.import_module(module), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])


class _Package(ModuleType):
    """`rpc` is a decorator and a subpackage: importing the latter must not put it in the place of the former."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _NAMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
