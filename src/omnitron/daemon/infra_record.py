"""What the daemon keeps of an infrastructure service: as a secret of the stack, since passwords are in it."""

from collections.abc import Iterable
from typing import Final

import msgspec

from omnitron.infra.plan import ServicePlan
from omnitron.infra.requests import Prepared
from omnitron.infra.settle import Settled
from omnitron.store.records import Secret

_PREFIX: Final = "infra/"


class InfraRecord(msgspec.Struct, frozen=True, kw_only=True):
    """used: whether the stack has it now; else its settings wait for its return.

    prepared: what its keeper runs, None before the first time. provisioned, version: what `provision` last did for
    which plan, and what the server called itself.
    """

    plan: ServicePlan
    settled: Settled
    used: bool = True
    prepared: Prepared | None = None
    provisioned: str = ""
    version: str = ""

    @property
    def secret(self) -> Secret:
        return Secret(self.plan.stack, _PREFIX + self.plan.name, msgspec.json.encode(self).decode())


def infra_records(secrets: Iterable[Secret]) -> list[InfraRecord]:
    """Of all stacks, by stack and name."""
    return [
        msgspec.json.decode(secret.value, type=InfraRecord) for secret in secrets if secret.name.startswith(_PREFIX)
    ]
