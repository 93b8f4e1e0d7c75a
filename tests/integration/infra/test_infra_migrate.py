import asyncio
from pathlib import Path
from textwrap import dedent

import pytest
from infra_servers import POSTGRES_MAJORS, Server, app, query

from omnitron.base.errors import DefinitionError
from omnitron.infra import migrate as migrations
from omnitron.infra.requests import MIGRATE, Migrated, MigrateRequest
from omnitron.infra.steps import run_step

pytestmark = pytest.mark.skipif(not POSTGRES_MAJORS, reason="no Postgres on this machine")

REVISION = """
    from alembic import op
    revision = {revision!r}
    down_revision = {before!r}
    branch_labels = depends_on = None
    def upgrade():
        op.execute({statement!r})
    def downgrade():
        pass
"""
ENVIRONMENT = """
    import asyncio, os
    from alembic import context
    from sqlalchemy.ext.asyncio import async_engine_from_config
    def upgrade(connection):
        context.configure(connection=connection, version_table_schema="public")
        with context.begin_transaction():
            context.run_migrations()
    async def run():
        engine = async_engine_from_config(context.config.get_section(context.config.config_ini_section, {}))
        async with engine.connect() as connection:
            await connection.run_sync(upgrade)
        await engine.dispose()
    assert os.environ["DATABASE_URL"]
    asyncio.run(run())
"""


def revise(folder: Path, revision: str, before: str | None, statement: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = dedent(REVISION).format(revision=revision, before=before, statement=statement)
    (folder / f"{revision}_step.py").write_text(text)


async def migrate(server: Server, name: str, cwd: Path, folder: str = "migrations") -> tuple[str, ...]:
    request = MigrateRequest(app=name, url=server.url(name), folder=str(cwd / folder))
    return (await migrations.migrate(request, lambda _: None)).applied


async def migrate_apart(server: Server, name: str, cwd: Path) -> tuple[str, ...]:
    """As the daemon does: in a process of its own, in the app's folder."""
    request = MigrateRequest(app=name, url=server.url(name), folder="migrations")
    return (await run_step(MIGRATE, request, Migrated, cwd=str(cwd), timeout=60)).applied


async def test_two_at_once_apply_each_revision_once(shared: Server, tmp_path: Path) -> None:
    server = await shared.with_apps(app("twice", database=True))
    revise(tmp_path / "migrations", "0001", None, "CREATE TABLE t (id int)")
    revise(tmp_path / "migrations", "0002", "0001", "INSERT INTO t VALUES (1)")
    both = await asyncio.gather(*(migrate_apart(server, "twice", tmp_path) for _ in range(2)))
    assert sorted(both) == [(), ("0001", "0002")]
    assert await query(server.url("twice"), "SELECT count(*) FROM t") == 1
    assert await query(server.url("twice"), "SELECT tableowner FROM pg_tables WHERE tablename = 't'") == "twice"


async def test_a_failing_revision_is_named_and_those_before_it_stay(shared: Server, tmp_path: Path) -> None:
    server = await shared.with_apps(app("failing", database=True))
    revise(tmp_path / "migrations", "0001", None, "CREATE TABLE t (id int)")
    revise(tmp_path / "migrations", "0002", "0001", "ALTER TABLE absent ADD x int")
    with pytest.raises(DefinitionError) as caught:
        await migrate(server, "failing", tmp_path)
    assert "0002" in caught.value.message and 'relation "absent" does not exist' in caught.value.message
    assert caught.value.details["where"].endswith("0002_step.py")
    assert caught.value.details["statement"] == "ALTER TABLE absent ADD x int"
    assert await query(server.url("failing"), "SELECT version_num FROM alembic_version") == "0001"
    revise(tmp_path / "migrations", "0002", "0001", "ALTER TABLE t ADD x int")
    assert await migrate(server, "failing", tmp_path) == ("0002",)


async def test_two_heads_are_refused(shared: Server, tmp_path: Path) -> None:
    server = await shared.with_apps(app("heads", database=True))
    revise(tmp_path / "migrations", "0001", None, "SELECT 1")
    revise(tmp_path / "migrations", "0002", None, "SELECT 1")
    with pytest.raises(DefinitionError, match=r"Multiple head revisions"):
        await migrate(server, "heads", tmp_path)


async def test_an_environment_of_the_users_own_is_used_as_it_is(shared: Server, tmp_path: Path) -> None:
    server = await shared.with_apps(app("own", database=True))
    revise(tmp_path / "alembic" / "versions", "0001", None, "CREATE TABLE t (id int)")
    (tmp_path / "alembic" / "env.py").write_text(dedent(ENVIRONMENT))
    assert await migrate(server, "own", tmp_path, "alembic") == ("0001",)
    assert await migrate(server, "own", tmp_path, "alembic") == ()
    assert await query(server.url("own"), "SELECT count(*) FROM t") == 0


async def test_sql_files_are_applied_once_in_order_each_as_a_whole(shared: Server, tmp_path: Path) -> None:
    server = await shared.with_apps(app("plain", database=True))
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_table.sql").write_text("CREATE TABLE t (id int PRIMARY KEY); -- with a ; in it\n")
    (folder / "0002_rows.sql").write_text("INSERT INTO t VALUES (1);\n\n\nINSERT INTO t\nVALUES (1);")
    with pytest.raises(DefinitionError) as caught:
        await migrate(server, "plain", tmp_path)
    assert caught.value.details["where"].endswith("0002_rows.sql, line 4")
    assert caught.value.details["statement"] == "INSERT INTO t\nVALUES (1)"
    assert await query(server.url("plain"), "SELECT count(*) FROM t") == 0
    (folder / "0002_rows.sql").write_text("INSERT INTO t VALUES (1);")
    both = await asyncio.gather(migrate(server, "plain", tmp_path), migrate(server, "plain", tmp_path))
    assert sorted(both) == [(), ("0002_rows.sql",)]
    (folder / "0001_table.sql").write_text("CREATE TABLE other ()")
    with pytest.raises(DefinitionError, match="was changed after it had been applied"):
        await migrate(server, "plain", tmp_path)


async def test_a_missing_folder_is_said(shared: Server, tmp_path: Path) -> None:
    server = await shared.with_apps(app("lost", database=True))
    with pytest.raises(DefinitionError, match="which is no folder"):
        await migrate(server, "lost", tmp_path)


async def test_migrations_have_no_rights_beyond_the_apps(shared: Server, tmp_path: Path) -> None:
    server = await shared.with_apps(app("modest", database=True))
    revise(tmp_path / "migrations", "0001", None, "CREATE ROLE more")
    with pytest.raises(DefinitionError, match="permission denied"):
        await migrate(server, "modest", tmp_path)
