"""Short ways to write definitions."""

from typing import Any

from omnitron.infra.plan import ServicePlan, plan_infra
from omnitron.model.ecosystem import define_ecosystem
from omnitron.model.facts import AppFacts
from omnitron.model.infrastructure import InfraService, Infrastructure
from omnitron.model.needs import Needs
from omnitron.model.process import Process
from omnitron.model.stack import Stack, StackSettings
from omnitron.model.system import System, define_system


def app(name: str, **needs: Any) -> System:
    main = Process(name="main", command=("sleep", "1"))
    return define_system(name=name, version="1.0.0", processes=[main], needs=Needs(**needs))


def plan(
    *apps: System,
    services: dict[str, InfraService] | None = None,
    stack: str = "dev",
    settings: StackSettings | None = None,
) -> dict[str, ServicePlan]:
    """By name of the service."""
    ecosystem = define_ecosystem(
        name="eco",
        apps=list(apps),
        infrastructure=Infrastructure(services=services or {}),
        stacks={stack: Stack(settings=settings)} if settings else {},
    )
    facts = [AppFacts(app=one.name, system=one, cwd="/srv") for one in apps]
    return {service.name: service for service in plan_infra(ecosystem, stack, facts)}


def postgres(driver: Any = "native", **config: Any) -> InfraService:
    return InfraService(preset="postgres", driver=driver, config=config)


def redis(driver: Any = "native", **config: Any) -> InfraService:
    return InfraService(preset="redis", driver=driver, config=config)
