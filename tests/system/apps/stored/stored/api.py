"""HTTP in front of it."""

import os

from starlette.requests import Request

from omnitron import Remote, route, service
from stored.keeping import Keeping

PUBLIC = "a test"


@service("store@1.0.0")
class Store:
    def __init__(self, keeping: Remote[Keeping]) -> None:
        self._keeping = keeping

    @route("GET", "/keep/{number}", public=PUBLIC)
    async def keep(self, request: Request) -> dict[str, int]:
        return {"server": os.getpid(), **await self._keeping.keep(int(request.path_params["number"]))}

    @route("GET", "/kept", public=PUBLIC)
    async def kept(self, request: Request) -> dict[str, list[int]]:
        return await self._keeping.kept()
