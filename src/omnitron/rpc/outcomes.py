"""How a call can fail at the link, other than by an error its method or its deadline gave. Callers never see these."""

from omnitron.base.errors import CallError, NotExecuted


class LinkLost(CallError):
    """The connection ended before the answer: the call may have run. Becomes WorkerDied, or a retry, in the client."""

    code = "link_lost"


class CallRefused(CallError):
    """The server turned the call away with `error` before it ran. Becomes a retry, or `error` itself."""

    code = "call_refused"

    def __init__(self, error: NotExecuted) -> None:
        super().__init__(error.message)
        self.error = error
