"""What is remembered of an app: everything needed to make it so again without its definition file."""

import msgspec

from omnitron.control.keeper import AppSpec
from omnitron.model.facts import Description
from omnitron.model.state import Want


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """One app of one stack as it should be.

    spec: what its keeper is told; ports, addresses and passwords are settled in it. want: of the app as a whole.
    description: restricted to this app; None if the record was rebuilt from what a keeper runs. depends_on: apps.
    provision: fingerprint of what was provisioned for it, "" if nothing was. leaving: no longer declared, so it is
    forgotten once it has stopped.
    """

    spec: AppSpec
    want: Want = Want.UP
    description: Description | None = None
    depends_on: tuple[str, ...] = ()
    critical: bool = False
    provision: str = ""
    leaving: bool = False

    @property
    def path(self) -> str:
        """Of the definition file; "" if unknown."""
        return self.description.path if self.description else ""


class Claim(msgspec.Struct, frozen=True, order=True):
    """A port given to somebody of a stack, and kept. claimant: "app/process/http" or "infra/postgres"."""

    port: int
    stack: str
    claimant: str

    @property
    def app(self) -> str:
        return self.claimant.partition("/")[0]


class Secret(msgspec.Struct, frozen=True):
    """What was settled once for a stack and nothing else knows, passwords above all. value: JSON."""

    stack: str
    name: str
    value: str
