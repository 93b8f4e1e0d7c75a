"""Who listens where: one port, one owner, decided at plan time."""

from collections.abc import Callable, Mapping
from typing import Final

from omnitron.base.errors import Refused

SEARCH: Final = 1000  # ports tried above the default before giving up


def allocate(
    claims: Mapping[int, str],
    owner: str,
    default: int,
    wanted: int | None = None,
    offset: int | None = None,
    *,
    taken: Callable[[int], bool],
) -> int:
    """The port of `owner` (such as "dev/postgres").

    claims: port to owner of all that was allocated before; what `owner` has is kept unless declared otherwise.
    wanted, offset: as declared; then exactly `wanted or default` plus offset, or Refused with both owners named.
    taken: whether some other program listens there now. Not asked for a port that is the owner's already.
    """
    if wanted is not None or offset is not None:
        return _exactly((wanted or default) + (offset or 0), claims, owner, taken)
    for port, claimant in claims.items():
        if claimant == owner:
            return port
    for port in range(default, min(default + SEARCH, 65536)):
        if port not in claims and not taken(port):
            return port
    raise Refused(
        f"{owner} finds no free port from {default} to {default + SEARCH - 1}.",
        remedy='Declare one: config={"port": ...}.',
    )


def _exactly(port: int, claims: Mapping[int, str], owner: str, taken: Callable[[int], bool]) -> int:
    claimant = claims.get(port)
    if claimant == owner:
        return port
    remedy = "Declare another port, or StackSettings(port_offsets={...}), for one of them."
    if claimant is not None:
        raise Refused(
            f"Port {port} is wanted by {owner} and belongs to {claimant}.",
            remedy=remedy,
            details={"port": port, "owners": [owner, claimant]},
        )
    if not 1 <= port <= 65535:
        raise Refused(f"{owner} would get port {port}.", remedy="Lower its port or its offset.")
    if taken(port):
        raise Refused(
            f"Port {port} is wanted by {owner} and another program, not Omnitron's, listens there.",
            remedy=f"Stop that program (`ss -ltnp sport = :{port}` shows it), or declare another port.",
            details={"port": port, "owners": [owner, "another program"]},
        )
    return port
