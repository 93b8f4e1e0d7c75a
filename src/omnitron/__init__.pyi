from omnitron.base.errors import (
    CallError,
    Cancelled,
    DeadlineExceeded,
    DefinitionError,
    Forbidden,
    InvalidArguments,
    NotExecuted,
    NotFound,
    OmnitronError,
    OperationError,
    Overloaded,
    Refused,
    RemoteError,
    ServiceNotFound,
    Unavailable,
    WorkerDied,
)
from omnitron.control.provide import ProvideContext
from omnitron.declare.hooks import on_start, on_stop, provide, warmup
from omnitron.declare.remote import Remote
from omnitron.declare.route import route
from omnitron.declare.rpc import rpc
from omnitron.declare.schedule import cron, interval, once
from omnitron.declare.service import service
from omnitron.model.ecosystem import App, Ecosystem, define_ecosystem
from omnitron.model.health import Health
from omnitron.model.hooks import Hooks
from omnitron.model.infrastructure import InfraService, Infrastructure
from omnitron.model.needs import Database as DatabaseNeed
from omnitron.model.needs import Needs
from omnitron.model.process import Process
from omnitron.model.restart import Backoff, Restart
from omnitron.model.routes import CustomRoute
from omnitron.model.scaling import Limits, Recycle, Scaling
from omnitron.model.shutdown import Shutdown
from omnitron.model.stack import Stack, StackSettings
from omnitron.model.system import System, define_system
from omnitron.model.topology import Topology
from omnitron.model.transports import Http, KeepAlive, Transports, WebSocket
from omnitron.rpc.context import CallContext, current_call
from omnitron.rpc.moved import Moved
from omnitron.rpc.proxy import with_options

__version__: str
__all__ = [
    "App",
    "Backoff",
    "CallContext",
    "CallError",
    "Cancelled",
    "CustomRoute",
    "DatabaseNeed",
    "DeadlineExceeded",
    "DefinitionError",
    "Ecosystem",
    "Forbidden",
    "Health",
    "Hooks",
    "Http",
    "InfraService",
    "Infrastructure",
    "InvalidArguments",
    "KeepAlive",
    "Limits",
    "Moved",
    "Needs",
    "NotExecuted",
    "NotFound",
    "OmnitronError",
    "OperationError",
    "Overloaded",
    "Process",
    "ProvideContext",
    "Recycle",
    "Refused",
    "Remote",
    "RemoteError",
    "Restart",
    "Scaling",
    "ServiceNotFound",
    "Shutdown",
    "Stack",
    "StackSettings",
    "System",
    "Topology",
    "Transports",
    "Unavailable",
    "WebSocket",
    "WorkerDied",
    "__version__",
    "cron",
    "current_call",
    "define_ecosystem",
    "define_system",
    "interval",
    "on_start",
    "on_stop",
    "once",
    "provide",
    "route",
    "rpc",
    "service",
    "warmup",
    "with_options",
]
