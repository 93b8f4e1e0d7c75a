"""Who gets which port. A port belongs to one claimant on the host, over all stacks, until its app is gone.

The default stack uses what the definition declares. Another stack uses declared port + its offset where it has one;
what has none, and port 0 anywhere, gets a free port once and keeps it. Two claimants of one port are refused by name.
"""

from collections.abc import Callable, Collection, Iterable

import msgspec

from omnitron.base.errors import Refused
from omnitron.model.facts import AppFacts
from omnitron.model.stack import StackSettings
from omnitron.store.records import Claim


class PortWish(msgspec.Struct, frozen=True):
    """claimant: "market/http/http"; port: wanted, 0 for any."""

    claimant: str
    port: int


def port_wishes(apps: Iterable[AppFacts], settings: StackSettings, default: bool) -> list[PortWish]:
    """default: whether the stack is the one that uses ports as declared."""
    wishes = []
    for app in apps:
        for process in app.system.processes:
            for kind, transport in (("http", process.transports.http), ("websocket", process.transports.websocket)):
                if transport is None:
                    continue
                offset = settings.port_offsets.get(f"{app.app}/{process.name}", 0 if default else None)
                port = transport.port + offset if transport.port and offset is not None else 0
                wishes.append(PortWish(f"{app.app}/{process.name}/{kind}", port))
    return wishes


def settle_ports(
    wishes: Iterable[PortWish],
    stack: str,
    held: Collection[Claim],
    idle: Collection[tuple[str, str]],
    free: Callable[[], int],
    taken: Callable[[int], bool],
) -> list[Claim]:
    """The claims of all wishes. Raises Refused.

    wishes: all of their apps; what these apps hold already is kept or let go. held: all claims of the host. idle:
    (stack, app) that are down: they yield to whoever asks for the port by number, or a project deleted long ago would
    hold it for ever. free: a port nobody listens on at the moment. taken: whether some other program listens there;
    not asked for a port that these apps hold already.
    """
    wishes = list(wishes)
    apps = {wish.claimant.partition("/")[0] for wish in wishes}
    mine = {claim.claimant: claim.port for claim in held if claim.stack == stack and claim.app in apps}
    owners = {claim.port: claim for claim in held if claim.stack != stack or claim.app not in apps}
    settled: dict[int, Claim] = {}
    for wish in sorted(wishes, key=lambda wish: wish.port == 0):  # declared ones first
        port = wish.port or _kept(mine.get(wish.claimant, 0), settled) or _free(free, {*owners, *settled})
        claim = Claim(port, stack, wish.claimant)
        if (other := settled.get(port)) is not None:
            raise _clash(claim, other)
        if (other := owners.get(port)) is not None and (other.stack, other.app) not in idle:
            raise _clash(claim, other)
        if wish.port and port not in mine.values() and taken(port):
            raise _taken(claim)
        settled[port] = claim
    return list(settled.values())


def _kept(port: int, settled: Collection[int]) -> int:
    return port if port not in settled else 0


def _free(free: Callable[[], int], taken: Collection[int], tries: int = 100) -> int:
    for _ in range(tries):
        if (number := free()) not in taken:
            return number
    raise Refused(f"No free port was found in {tries} tries.", remedy="Release ports, or declare one.")


def _clash(claim: Claim, other: Claim) -> Refused:
    return Refused(
        f"Port {claim.port} is claimed by both {_owner(other)} and {_owner(claim)}.",
        remedy="Change one of them, set the stack's port_offsets, use port=0 for a free one, or "
        f"`omnitron down {other.app} --stack {other.stack}`.",
        details={"port": claim.port, "claimants": [_owner(other), _owner(claim)]},
    )


def _taken(claim: Claim) -> Refused:
    return Refused(
        f"Port {claim.port} is claimed by {_owner(claim)}, and another program, not Omnitron's, listens there.",
        remedy=f"Stop that program (`ss -ltnp sport = :{claim.port}` shows it), or declare another port.",
        details={"port": claim.port, "claimants": [_owner(claim), "another program"]},
    )


def _owner(claim: Claim) -> str:
    return f"{claim.claimant} of stack {claim.stack}"
