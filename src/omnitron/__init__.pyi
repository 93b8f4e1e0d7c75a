from omnitron.base.errors import (
    CallError as CallError,
    Cancelled as Cancelled,
    DeadlineExceeded as DeadlineExceeded,
    DefinitionError as DefinitionError,
    Forbidden as Forbidden,
    InvalidArguments as InvalidArguments,
    NotExecuted as NotExecuted,
    NotFound as NotFound,
    OmnitronError as OmnitronError,
    OperationError as OperationError,
    Overloaded as Overloaded,
    Refused as Refused,
    RemoteError as RemoteError,
    ServiceNotFound as ServiceNotFound,
    Unavailable as Unavailable,
    WorkerDied as WorkerDied,
)
from omnitron.control.provide import ProvideContext as ProvideContext
from omnitron.declare.hooks import on_start as on_start, on_stop as on_stop, provide as provide, warmup as warmup
from omnitron.declare.remote import Remote as Remote
from omnitron.declare.route import route as route
from omnitron.declare.rpc import rpc as rpc
from omnitron.declare.schedule import cron as cron, interval as interval, once as once
from omnitron.declare.service import service as service
from omnitron.model.ecosystem import App as App, Ecosystem as Ecosystem, define_ecosystem as define_ecosystem
from omnitron.model.health import Health as Health
from omnitron.model.hooks import Hooks as Hooks
from omnitron.model.infrastructure import InfraService as InfraService, Infrastructure as Infrastructure
from omnitron.model.needs import Database as DatabaseNeed, Needs as Needs
from omnitron.model.process import Process as Process
from omnitron.model.restart import Backoff as Backoff, Restart as Restart
from omnitron.model.routes import CustomRoute as CustomRoute
from omnitron.model.scaling import Limits as Limits, Recycle as Recycle, Scaling as Scaling
from omnitron.model.shutdown import Shutdown as Shutdown
from omnitron.model.stack import Stack as Stack, StackSettings as StackSettings
from omnitron.model.system import System as System, define_system as define_system
from omnitron.model.topology import Topology as Topology
from omnitron.model.transports import (
    Http as Http,
    KeepAlive as KeepAlive,
    Transports as Transports,
    WebSocket as WebSocket,
)
from omnitron.rpc.context import CallContext as CallContext, current_call as current_call
from omnitron.rpc.moved import Moved as Moved
from omnitron.rpc.proxy import with_options as with_options

__version__: str
__all__: list[str]
