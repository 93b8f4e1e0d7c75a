"""The replicas one proxy may call, and the choice among them."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol

from omnitron.base.clock import Clock
from omnitron.base.errors import Overloaded, ServiceNotFound, Unavailable
from omnitron.base.rand import Rand
from omnitron.rpc.balance import Policy, by_key, choose
from omnitron.rpc.endpoints import Directory, Endpoint, Wanted
from omnitron.rpc.link import Link
from omnitron.rpc.peer import Peer

MAX_WAITING: Final = 4096
"""Calls of a caller that wait for any replica of a service to be there."""


class Route(Protocol):
    """Where a call goes."""

    @property
    def link(self) -> Link | None: ...

    @property
    def endpoint(self) -> Endpoint: ...


class Routes(Protocol):
    """Where calls of a proxy can go."""

    def pick(self, key: str | None, tried: Collection[Link]) -> Route | None:
        """One with a usable link that is not in `tried`, or None if there is none now."""

    async def wait(self, deadline: float | None) -> None:
        """Return when `pick` may have another answer. Raises Unavailable at the deadline."""


class Pool:
    """All replicas of a service that the directory knows."""

    def __init__(
        self,
        directory: Directory,
        wanted: Wanted,
        policy: Policy | None,
        clock: Clock,
        rand: Rand,
        peer: Callable[[Endpoint], Peer],
    ) -> None:
        self.wanted = wanted
        self.policy = policy
        self.peers: dict[str, Peer] = {}
        self._directory, self._clock, self._rand, self._peer = directory, clock, rand, peer
        self._open: list[Peer] = []
        self._changed = asyncio.Event()
        self._waiting = 0
        self._begun = False
        self._ambiguous: ServiceNotFound | None = None

    def refresh(self) -> None:
        """The directory has changed, or a link of some peer has."""
        if not self._begun:
            return
        try:
            found, self._ambiguous = self._directory.find(self.wanted), None
        except ServiceNotFound as error:  # for who calls, not for who updates the directory
            found, self._ambiguous = (), error
        self.peers = {endpoint.path: self._peer(endpoint) for endpoint in found}
        for peer in self.peers.values():
            if peer.link is None:
                peer.want()
        self.update_open()

    def update_open(self) -> None:
        """Some link has opened or closed."""
        self._open = [peer for peer in self.peers.values() if peer.link is not None]
        self._changed.set()

    def pick(self, key: str | None, tried: Collection[Link]) -> Peer | None:
        if key is not None:
            return self._owner(key, tried)
        peers = self._open
        if tried:
            peers = [peer for peer in peers if peer.link not in tried]
        if not peers:
            return None
        if len(peers) == 1:
            return peers[0]
        return peers[choose(self.policy, len(peers), lambda index: _load(peers[index]), self._rand)]

    def _owner(self, key: str, tried: Collection[Link]) -> Peer | None:
        """The owner of the key; a successor only if the owner is known not to answer."""
        peers = list(self.peers.values())
        for index in by_key(key, [peer.endpoint.replica for peer in peers]):
            link = peers[index].link
            if link is not None or not peers[index].failures:
                return None if link is None or link in tried else peers[index]
        return None

    async def wait(self, deadline: float | None) -> None:
        if not self._begun:
            self._begun = True
            self.refresh()
            if self._open:
                return
        if self._ambiguous is not None:
            raise self._ambiguous.with_traceback(None)
        if self._waiting >= MAX_WAITING:
            raise Overloaded(
                f"{self._waiting} calls already wait for a replica of {self.wanted}.",
                remedy="Find out why none runs with `omnitron why`, and bound how many calls are made at once.",
            )
        self._changed.clear()
        for peer in self.peers.values():
            peer.want()
        self._waiting += 1
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - self._clock.monotonic())):
                await self._changed.wait()
        except TimeoutError:
            raise self._unavailable() from None
        finally:
            self._waiting -= 1

    def _unavailable(self) -> Unavailable:
        if not self.peers:
            text = self._directory.explain(self.wanted)
        else:
            states = "; ".join(f"{p.endpoint.replica}: {p.last_error or 'connecting'}" for p in self.peers.values())
            text = f"No replica of {self.wanted} could be reached before the deadline ({states})."
        return Unavailable(text, remedy="See `omnitron ps` for what runs, `omnitron why` for why not.")


def _load(peer: Peer) -> int:
    link = peer.link
    return 0 if link is None else len(link.pending) + len(link.streams)
