"""A service that can not start until a file is there."""

import os
from pathlib import Path

from omnitron import rpc, service


@service("waiting@1.0.0")
class Waiting:
    def __init__(self) -> None:
        if not Path(os.environ["TALK_FLAG"]).exists():
            raise RuntimeError("there is no flag")

    @rpc
    async def hello(self) -> str:
        return "hello"
