"""Make a running service fit for its apps: `python -m omnitron.infra.provision`, as often as one likes.

Postgres: a database and a role per app. Redis: nothing to make; but does it answer, with the password, and has it the
databases?
"""

from omnitron.base.extras import missing_extra
from omnitron.infra.drivers.redis_check import check_redis
from omnitron.infra.plan import ServicePlan
from omnitron.infra.requests import Provisioned, ProvisionRequest
from omnitron.infra.settle import Settled, client_url, server_url
from omnitron.infra.steps import Say, serve_step


async def provision(request: ProvisionRequest, say: Say) -> Provisioned:
    """Waits until the server answers. Raises OperationError, Refused or DefinitionError."""
    plan, settled = request.plan, request.settled
    say(f"waiting for {plan.name}")
    if plan.preset == "postgres":
        return await _postgres(plan, settled, say)
    version = ""
    for url in [client_url(plan, settled, client) for client in plan.clients] or [server_url(plan, settled)]:
        version = await check_redis(plan, url)
    return Provisioned(version=version)


async def _postgres(plan: ServicePlan, settled: Settled, say: Say) -> Provisioned:
    try:
        from omnitron.infra.drivers.roles import provision_postgres  # noqa: PLC0415 - asyncpg is an optional extra
    except ModuleNotFoundError as error:
        raise missing_extra("Postgres", "postgres", error) from None
    version, created = await provision_postgres(plan, settled, say)
    return Provisioned(version=version, created=tuple(created))


if __name__ == "__main__":
    serve_step(ProvisionRequest, provision)
