import msgspec
import pytest
from infra_definitions import app, plan, postgres, redis

from omnitron.base.errors import DefinitionError
from omnitron.infra.plan import ServicePlan
from omnitron.model.needs import Database
from omnitron.model.stack import StackSettings


def test_what_is_needed_and_not_declared_is_added_once() -> None:
    plans = plan(app("ledger", database=True, redis=True), app("media", database=True), app("idle"))
    assert list(plans) == ["postgres", "redis"]
    assert [(c.app, c.env, c.database) for c in plans["postgres"].clients] == [
        ("ledger", "DATABASE_URL", "ledger"),
        ("media", "DATABASE_URL", "media"),
    ]
    assert [(c.app, c.env) for c in plans["redis"].clients] == [("ledger", "REDIS_URL")]


def test_a_declared_service_is_there_without_a_client() -> None:
    assert plan(app("idle"), services={"cache": redis()})["cache"].clients == ()


def test_a_plan_survives_the_way_to_another_process() -> None:
    for service in plan(app("ledger", database=Database(extensions=("citext",)), redis=True)).values():
        assert msgspec.json.decode(msgspec.json.encode(service), type=ServicePlan) == service


def test_an_app_names_further_services_and_gets_their_urls() -> None:
    services = {"postgres": postgres(), "time-series": postgres()}
    plans = plan(app("ledger", database=True, services=["time-series"]), services=services)
    assert [c.env for c in plans["postgres"].clients] == ["DATABASE_URL"]
    assert [c.env for c in plans["time-series"].clients] == ["TIME_SERIES_URL"]


def test_databases_are_named_after_prefix_and_app() -> None:
    settings = StackSettings(container_prefix="platform-dev")
    plans = plan(app("price-feed", database=True), settings=settings)
    assert plans["postgres"].clients[0].database == "platform_dev_price_feed"


def test_on_an_external_server_the_stack_is_the_prefix() -> None:
    services = {"postgres": postgres("external", url="postgresql://boss:x@db.local")}
    plans = plan(app("ledger", database=True), services=services, stack="staging")
    assert plans["postgres"].clients[0].database == "staging_ledger"


def test_only_one_app_may_use_the_database_an_external_url_names() -> None:
    services = {"postgres": postgres("external", url="postgres://u:x@db.local/main")}
    assert plan(app("ledger", database=True), services=services)["postgres"].shared
    with pytest.raises(DefinitionError, match="'ledger', 'media' would share it"):
        plan(app("ledger", database=True), app("media", database=True), services=services)


@pytest.mark.parametrize(
    ("service", "message"),
    [
        (postgres(prot=5433), "no setting 'prot'. Did you mean 'port'"),
        (postgres(port="x"), "wrong type"),
        (postgres(port=70000), "port=70000"),
        (postgres("external"), "external and has no url"),
        (postgres("external", url="redis://db.local"), "not one of a postgres server"),
        (postgres("external", url="postgresql://db.local", port=1), "port would have no effect"),
        (postgres(url="postgresql://db.local"), "native and has a url"),
        (postgres(settings={"listen_addresses": "*"}), "which Omnitron decides"),
        (redis(max_memory="lots"), "can not be read"),
    ],
)
def test_a_config_that_can_not_work_is_refused(service: object, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        plan(app("idle"), services={"it": service})  # type: ignore[dict-item]


def test_names_that_are_not_there_are_suggested() -> None:
    with pytest.raises(DefinitionError, match=r"'analytcs', which is not declared\. Did you mean 'analytics'"):
        plan(app("ledger", services=["analytcs"]), services={"analytics": postgres()})
    with pytest.raises(DefinitionError, match=r"'postgre', which is no service.*Did you mean 'postgres'"):
        plan(app("idle"), settings=StackSettings(port_offsets={"postgre": 10}))


def test_two_databases_of_one_name_are_refused_naming_both_apps() -> None:
    apps = app("ledger", database=True), app("books", database=Database(name="ledger"))
    with pytest.raises(DefinitionError, match="Apps 'ledger' and 'books' both need the database 'ledger'"):
        plan(*apps)


@pytest.mark.parametrize("name", ["postgres", "x" * 64, 'a"b'])
def test_a_database_name_the_server_can_not_have_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError):
        plan(app("ledger", database=Database(name=name)))


def test_an_unclear_choice_is_refused() -> None:
    with pytest.raises(DefinitionError, match="not clear which: one, two"):
        plan(app("ledger", database=True), services={"one": postgres(), "two": postgres()})


def test_s3_is_refused_and_not_ignored() -> None:
    with pytest.raises(DefinitionError, match="needs s3"):
        plan(app("media", s3=True))
