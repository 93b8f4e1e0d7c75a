"""A module that starts a thread when it is imported, as some libraries do."""

import threading
import time

from omnitron.declare.rpc import rpc
from omnitron.declare.service import service

threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


@service("threads@1.0.0")
class Threads:
    @rpc
    async def hello(self) -> str:
        return "hello"
