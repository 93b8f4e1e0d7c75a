"""The caller's side: proxies of services, over links it keeps to their replicas."""

from collections.abc import Collection
from typing import Final, TypeVar, cast

from omnitron.base.clock import Clock, SystemClock
from omnitron.base.errors import Unavailable
from omnitron.base.rand import Rand, SystemRand
from omnitron.base.tasks import TaskSet
from omnitron.rpc.balance import Policy
from omnitron.rpc.caller import CallOptions, WorkerGone
from omnitron.rpc.contract import ServiceContract, contract_of
from omnitron.rpc.endpoints import Directory, Endpoint, Wanted
from omnitron.rpc.link import Link, open_link
from omnitron.rpc.peer import CONNECT_TIMEOUT_S, Peer
from omnitron.rpc.pool import Pool
from omnitron.rpc.proxy import Proxy
from omnitron.wire.frames import MAX_FRAME_BYTES

T = TypeVar("T")
DEFAULT_DEADLINE_S: Final = 30.0


class RpcClient:
    """One per process (event loop). who: identity sent to servers. default_deadline_s: seconds, where nobody says more.

    worker_gone: asked what a replica's incarnation died of; None if it is not known.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        who: str = "",
        rand: Rand | None = None,
        clock: Clock | None = None,
        default_deadline_s: float = DEFAULT_DEADLINE_S,
        policy: Policy | None = None,
        worker_gone: WorkerGone | None = None,
    ) -> None:
        self.directory = directory
        self._who = who
        self._rand: Rand = rand or SystemRand()
        self._clock: Clock = clock or SystemClock()
        self._default_deadline_s, self._policy, self._worker_gone = default_deadline_s, policy, worker_gone
        self._tasks = TaskSet("rpc-client")
        self._pools: dict[Wanted, Pool] = {}
        self._peers: dict[str, Peer] = {}
        self._forget = directory.on_change(self._refresh)

    def proxy(self, service_class: type[T], *, service: str | None = None) -> T:
        """A proxy of the service; nothing is connected before its first call.

        service: which one if the class's own name and version do not say it, as in "market/ohlcv@1". Raises
        DefinitionError if the class is no service.
        """
        contract = contract_of(service_class)
        wanted = Wanted.parse(service or str(contract))
        if wanted not in self._pools:
            self._pools[wanted] = Pool(self.directory, wanted, self._policy, self._clock, self._rand, self._peer)
        return _proxy(
            service_class, contract, self._pools[wanted], self._clock, self._default_deadline_s, self._worker_gone
        )

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The replicas that are or were called, for `inspect`."""
        return tuple(self._peers.values())

    async def close(self) -> None:
        """Close all links; calls in flight fail."""
        self._forget()
        for peer in self._peers.values():
            link = peer.link
            peer.retire()
            if link is not None:
                link.finish()
        await self._tasks.close()

    def _peer(self, endpoint: Endpoint) -> Peer:
        peer = self._peers.get(endpoint.path)
        if peer is None:
            peer = self._peers[endpoint.path] = Peer(
                endpoint, self._who, self._clock, self._rand, self._tasks, self._links_changed
            )
        peer.renew(endpoint)
        return peer

    def _links_changed(self) -> None:
        for pool in self._pools.values():
            pool.update_open()

    def _refresh(self) -> None:
        for pool in self._pools.values():
            pool.refresh()
        used = {path for pool in self._pools.values() for path in pool.peers}
        for path in self._peers.keys() - used:
            self._peers.pop(path).retire()


class _Fixed:
    """Routes with a single link that nobody renews."""

    def __init__(self, path: str, link: Link) -> None:
        self.endpoint = Endpoint(link.hello.who or path, path)
        self.link = link

    def pick(self, key: str | None, tried: Collection[Link]) -> "_Fixed | None":
        return None if self.link in tried or self.link.closed.done() else self

    async def wait(self, deadline: float | None) -> None:
        raise Unavailable(f"The connection to {self.endpoint.replica} has ended.", remedy="Connect again.")


async def connect(
    path: str,
    service_class: type[T],
    *,
    who: str = "",
    clock: Clock | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
    default_deadline_s: float = DEFAULT_DEADLINE_S,
    max_frame_bytes: int = MAX_FRAME_BYTES,
) -> tuple[T, Link]:
    """A proxy of one service at one known socket, and the link, whose end is `await link.closed`.

    Raises OSError if nobody answers there. Other services at the same socket: `over(link, OtherClass)`.
    """
    used_clock = clock or SystemClock()
    link = await open_link(path, used_clock, timeout_s, who=who, max_frame_bytes=max_frame_bytes)
    return over(link, service_class, path=path, default_deadline_s=default_deadline_s), link


def over(link: Link, service_class: type[T], *, path: str = "", default_deadline_s: float = DEFAULT_DEADLINE_S) -> T:
    """A proxy of a service over a link that is open."""
    return _proxy(service_class, contract_of(service_class), _Fixed(path, link), link.clock, default_deadline_s, None)


def _proxy(
    cls: type[T],
    contract: ServiceContract,
    routes: "Pool | _Fixed",
    clock: Clock,
    deadline_s: float,
    gone: WorkerGone | None,
) -> T:
    return cast(T, Proxy(contract, routes, clock, deadline_s, gone, CallOptions()))
