from typing import Any

import asyncpg
import msgspec
import pytest
from infra_servers import POSTGRES_MAJORS, Server, app, ecosystem_of, facts, query

from omnitron.base.errors import OperationError, Refused
from omnitron.base.rand import SystemRand
from omnitron.infra import provision, requests
from omnitron.infra.plan import ServicePlan, plan_infra
from omnitron.infra.settle import Settled, app_env, settle
from omnitron.infra.steps import run_step
from omnitron.infra.urls import with_database
from omnitron.model.infrastructure import InfraService
from omnitron.model.system import System

pytestmark = pytest.mark.skipif(not POSTGRES_MAJORS, reason="no Postgres on this machine")


def external(url: str, stack: str, *systems: System) -> tuple[ServicePlan, Settled]:
    services = {"postgres": InfraService(preset="postgres", driver="external", config={"url": url})}
    (plan,) = plan_infra(ecosystem_of(*systems, services=services), stack, facts(*systems))
    return plan, settle(plan, None, ports={}, others=[], taken=lambda _: False, rand=SystemRand())


async def bring_up(plan: ServicePlan, settled: Settled) -> Any:
    request = requests.ProvisionRequest(plan=plan, settled=settled)
    return await provision.provision(request, lambda _: None)


def without_database(server: Server) -> str:
    return server.admin_url.removesuffix("/postgres")


async def test_two_stacks_on_one_server_share_nothing(shared: Server) -> None:
    urls = {}
    for stack in ("dev", "staging"):
        plan, settled = external(without_database(shared), stack, app("ledger", database=True))
        assert (await bring_up(plan, settled)).created == (f"{stack}_ledger",)
        urls[stack] = app_env([(plan, settled)], "ledger")["DATABASE_URL"]
    assert await query(urls["dev"], "SELECT current_database()") == "dev_ledger"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await query(with_database(urls["dev"], "staging_ledger"), "SELECT 1")


async def test_an_administrator_who_is_no_superuser_will_do(shared: Server) -> None:
    await query(shared.admin_url, "DO $$ BEGIN CREATE ROLE boss LOGIN CREATEDB CREATEROLE PASSWORD 'b'; END $$")
    url = with_database(shared.admin_url, "postgres", "boss", "b").removesuffix("/postgres")
    await query(shared.admin_url, "GRANT CONNECT ON DATABASE postgres TO boss")
    plan, settled = external(url, "managed", app("ledger", database=True))
    assert (await bring_up(plan, settled)).created == ("managed_ledger",)
    assert (await bring_up(plan, settled)).created == ()
    assert await query(app_env([(plan, settled)], "ledger")["DATABASE_URL"], "SELECT current_user") == "managed_ledger"


async def test_a_user_without_the_rights_is_told_which(shared: Server) -> None:
    await query(shared.admin_url, "DO $$ BEGIN CREATE ROLE clerk LOGIN PASSWORD 'c'; END $$")
    await query(shared.admin_url, "GRANT CONNECT ON DATABASE postgres TO clerk")
    url = with_database(shared.admin_url, "postgres", "clerk", "c").removesuffix("/postgres")
    with pytest.raises(Refused, match="may not make the role 'poor_ledger'"):
        await bring_up(*external(url, "poor", app("ledger", database=True)))


async def test_a_url_that_names_a_database_is_handed_on_unchanged(shared: Server) -> None:
    plan, settled = external(shared.admin_url, "dev", app("ledger", database=True))
    assert (await bring_up(plan, settled)).version.startswith("PostgreSQL ")
    assert app_env([(plan, settled)], "ledger") == {"DATABASE_URL": shared.admin_url}


async def test_a_wrong_password_is_said_at_once(shared: Server) -> None:
    url = with_database(shared.admin_url, "postgres", "postgres", "wrong")
    with pytest.raises(OperationError, match="refuses the connection"):
        await bring_up(*external(url, "dev", app("ledger", database=True)))


async def test_an_error_of_the_throwaway_process_arrives_as_itself(shared: Server) -> None:
    plan, settled = external(shared.admin_url, "dev", app("ledger", database=True))
    broken = msgspec.structs.replace(plan, config=msgspec.structs.replace(plan.config, url="http://nowhere"))
    request = requests.ProvisionRequest(plan=broken, settled=settled)
    with pytest.raises(OperationError) as caught:
        await run_step(requests.PROVISION, request, requests.Provisioned, timeout=60)
    assert caught.value.remedy.startswith("Check user, password")
