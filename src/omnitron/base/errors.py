"""Every error Omnitron raises, in one tree, grouped by who must act on it.

An error says what happened, why we think so and what to do, and it carries its values. Its `code` is stable: tools and
documentation refer to it (docs/errors.md), and it crosses process boundaries, so that a `WorkerDied` raised in one
process is caught as `WorkerDied` in another.

    OmnitronError
      DefinitionError    the author of a definition or of a service must change it
      OperationError     the operator asked for something that can not be done now
      CallError          one call failed; its caller decides
        NotExecuted      ... and it certainly did not run: trying again is safe
      InternalError      ours: please report it
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class OmnitronError(Exception):
    """Base of all.

    message: what happened and why we think so, one or two sentences, with the values.
    remedy: what to do about it, as an imperative sentence, or "".
    details: the values, JSON-compatible, for machines.
    """

    code: ClassVar[str] = "omnitron"

    def __init__(self, message: str, *, remedy: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.details: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class DefinitionError(OmnitronError):
    """A definition, or the code it names, is wrong. Raised before anything starts."""

    code = "definition"


class OperationError(OmnitronError):
    """A request of the operator can not be carried out in the present state."""

    code = "operation"


class NotFound(OperationError):
    """There is no app, process, replica, stack or file of that name."""

    code = "not_found"


class Refused(OperationError):
    """Understood and refused, for the reason in the message (CLI exit code 3)."""

    code = "refused"


class DaemonUnreachable(OperationError):
    """No daemon answers under this OMNITRON_HOME (CLI exit code 2)."""

    code = "daemon_unreachable"


class CallError(OmnitronError):
    """One call failed."""

    code = "call"


class InvalidArguments(CallError):
    """The arguments do not fit the method's signature. HTTP 422."""

    code = "invalid_arguments"


class InvalidResult(CallError):
    """The method returned something its signature does not allow. HTTP 500."""

    code = "invalid_result"


class ServiceNotFound(CallError):
    """No such service here, or not to be seen from the caller's process. HTTP 404."""

    code = "service_not_found"


class MethodNotFound(CallError):
    """The service has no method of that name marked `@rpc`. HTTP 404."""

    code = "method_not_found"


class DeadlineExceeded(CallError):
    """The answer did not come before the call's deadline. The call may have run. HTTP 504."""

    code = "deadline_exceeded"


class Cancelled(CallError):
    """The caller gave up, or the worker was told to stop, while the call was running. HTTP 499."""

    code = "cancelled"


class WorkerDied(CallError):
    """The replica that was running the call died; `details["reason"]` names the signal or exit code if known."""

    code = "worker_died"


class RemoteError(CallError):
    """The method raised an exception that is not an OmnitronError. `details`: type, message, traceback (in dev)."""

    code = "remote_error"


class UnsharedState(CallError):
    """In dev: a method set an attribute of its service, of which there are several replicas. HTTP 500."""

    code = "unshared_state"


class Forbidden(CallError):
    """The principal of the call may not do this. HTTP 403."""

    code = "forbidden"


class FrameTooLarge(CallError):
    """A message is over the transport's limit. HTTP 413."""

    code = "frame_too_large"


class NotExecuted(CallError):
    """The call certainly did not run: it is safe to try again."""

    code = "not_executed"


class Overloaded(NotExecuted):
    """All replicas are busy and their queues full. `details["retry_after_s"]` says when to try again. HTTP 503."""

    code = "overloaded"

    @property
    def retry_after_s(self) -> float:
        """Seconds after which another try is likely to be accepted."""
        return float(self.details.get("retry_after_s", 1.0))


class Unavailable(NotExecuted):
    """No replica of the service could be reached before the deadline. HTTP 503."""

    code = "unavailable"


class InternalError(OmnitronError):
    """A fault of Omnitron itself."""

    code = "internal"


def error_classes() -> dict[str, type[OmnitronError]]:
    """All classes of the tree by code; what the wire uses to rebuild an error as itself.

    A subclass a user defines with a `code` of its own takes part once its module is imported in the caller.
    """
    found: dict[str, type[OmnitronError]] = {}
    todo: list[type[OmnitronError]] = [OmnitronError]
    while todo:
        cls = todo.pop()
        found.setdefault(cls.code, cls)
        todo.extend(cls.__subclasses__())
    return found
