"""A Postgres cluster on disk: made from a template, its version, its superuser's password.

`initdb` takes most of a first start. Its result depends on the version and the owner only, so it is kept as a template
without any password and copied. Whatever is interrupted leaves a folder with a temporary name, or nothing.
"""

import hashlib
from pathlib import Path

from omnitron.base.errors import OperationError
from omnitron.infra.drivers.native import Installation, locked
from omnitron.infra.drivers.scram import scram_verifier
from omnitron.infra.drivers.users import RunAs, make_open, remove_tree, sync_dir
from omnitron.infra.kinds.postgres import INITDB_ARGS, SUPERUSER


def cluster_major(data: Path) -> int | None:
    """The major version that made the folder, None if there is no cluster yet."""
    try:
        return int((data / "PG_VERSION").read_text().split(".")[0])
    except FileNotFoundError:
        return None


def choose_postgres(
    found: list[Installation], made_by: int | None, wanted: int | None, extensions: set[str], data: Path
) -> Installation:
    """The first that fits. A data folder runs under the major version that made it, never under another.

    wanted: major version of the config. extensions: preferred are installations that have them all.
    """
    if made_by is not None and wanted is not None and made_by != wanted:
        raise OperationError(
            f"The data in {data} were made by PostgreSQL {made_by}, and the config wants version {wanted}.",
            remedy=f"Remove `version`, or dump the data with {made_by} and load them into an empty folder.",
        )
    major = made_by or wanted
    fitting = [one for one in found if major in (None, one.major)]
    if not fitting:
        have = ", ".join(str(one) for one in found) or "none"
        raise OperationError(
            f"PostgreSQL {major} is needed{f' for the data in {data}' if made_by else ''}; installed: {have}. "
            "Nothing was changed.",
            remedy=f"Install PostgreSQL {major}, as in `apt install postgresql-{major}`.",
            details={"major": major, "data": str(data)},
        )
    return next((one for one in fitting if not extensions or extensions <= available_extensions(one)), fitting[0])


def available_extensions(found: Installation) -> set[str]:
    """Names of the extensions that come with the installation; empty if it can not say."""
    pg_config = found.tool("pg_config")
    if not pg_config.exists():
        return set()
    shared = RunAs(None, 0, 0).run([pg_config, "--sharedir"]).stdout.strip()
    return {path.stem for path in Path(shared, "extension").glob("*.control")}


def make_cluster(found: Installation, run_as: RunAs, data: Path, cache: Path, password: str) -> None:
    """`data` appears whole, synced to disk and with its password, or not at all."""
    template = _template(found, run_as, make_open(cache))
    fresh = data.with_name(f".{data.name}.new")
    remove_tree(fresh)
    run_as.make_dir(fresh)
    run_as.check(["cp", "-a", f"{template}/.", fresh])
    set_password(found, run_as, fresh, password)
    run_as.check([found.tool("initdb"), "--sync-only", "-D", fresh])
    fresh.rename(data)
    sync_dir(data.parent)


def _template(found: Installation, run_as: RunAs, cache: Path) -> Path:
    template = cache / f"postgres-{found.version}-{run_as.uid}.template"
    with locked(cache / ".template.lock"):
        if not template.exists():
            fresh = cache / f".{template.name}.new"
            remove_tree(fresh)
            run_as.make_dir(fresh)
            run_as.check([found.tool("initdb"), "-D", fresh, "--no-sync", *INITDB_ARGS])
            for old in cache.glob(f"postgres-{found.major}.*-{run_as.uid}.template"):
                remove_tree(old)  # of an earlier minor version
            fresh.rename(template)
    return template


def set_password(found: Installation, run_as: RunAs, data: Path, password: str) -> None:
    """Of the superuser, in single-user mode: the server must not run, and nobody need know the old one."""
    statement = f"ALTER ROLE {SUPERUSER} PASSWORD '{scram_verifier(password)}'\n"
    done = run_as.run([found.server, "--single", "-D", data, "postgres"], input=statement)
    if done.returncode or "ERROR:" in done.stderr:
        raise OperationError(f"The password of the cluster in {data} can not be set: {done.stderr.strip()[-600:]}")


def password_mark(password: str) -> str:
    """What to remember to notice a change; useless to whoever reads it, since the passwords are random and long."""
    return hashlib.sha256(password.encode()).hexdigest()
