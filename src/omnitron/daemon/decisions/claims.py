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

PORT = "port"


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
    held: Iterable[Claim],
    idle: Collection[tuple[str, str]],
    free: Callable[[], int],
) -> list[Claim]:
    """The claims of all wishes. Raises Refused.

    held: all claims of the host. idle: (stack, app) that are down: they must yield to whoever asks for the port by
    number, or a project deleted long ago would hold it for ever. free: a port nobody listens on at the moment.
    """
    owners = {claim.number: claim for claim in held if claim.kind == PORT}
    mine = {claim.claimant: claim for claim in owners.values() if claim.stack == stack}
    settled: dict[int, Claim] = {}
    for wish in sorted(wishes, key=lambda wish: wish.port == 0):  # declared ones first
        number = wish.port or _kept(mine.get(wish.claimant), settled) or _free(free, {*owners, *settled})
        claim = Claim(PORT, "", number, stack, wish.claimant)
        other = settled.get(number) or owners.get(number)
        theirs = other is not None and (other.stack, other.claimant) != (stack, wish.claimant)
        yields = other is not None and number not in settled and (other.stack, other.app) in idle
        if other is not None and theirs and not yields:
            raise _clash(claim, other)
        settled[number] = claim
    return list(settled.values())


def _kept(claim: Claim | None, settled: dict[int, Claim]) -> int:
    return claim.number if claim is not None and claim.number not in settled else 0


def _free(free: Callable[[], int], taken: Collection[int], tries: int = 100) -> int:
    for _ in range(tries):
        if (number := free()) not in taken:
            return number
    raise Refused(f"No free port was found in {tries} tries.", remedy="Release ports, or declare one.")


def _clash(claim: Claim, other: Claim) -> Refused:
    return Refused(
        f"Port {claim.number} is claimed by both {_owner(other)} and {_owner(claim)}.",
        remedy="Change one of them, set the stack's port_offsets, use port=0 for a free one, or "
        f"`omnitron down {other.app} --stack {other.stack}`.",
        details={"port": claim.number, "claimants": [_owner(other), _owner(claim)]},
    )


def _owner(claim: Claim) -> str:
    return f"{claim.claimant} of stack {claim.stack}"
