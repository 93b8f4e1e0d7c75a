"""How a stream learns that its replica is being replaced."""

from omnitron.base.errors import CallError


class Moved(CallError):
    """The replica that fed the stream is stopping: begin it again, another one answers. Items may have been missed."""

    code = "moved"
