"""The URLs that apps get, and what the URL of an external server says."""

from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from omnitron.base.errors import DefinitionError
from omnitron.model.infrastructure import Preset

SCHEMES: Final[dict[Preset, tuple[str, ...]]] = {"postgres": ("postgresql", "postgres"), "redis": ("redis", "rediss")}
LOOPBACK: Final = "127.0.0.1"


def postgres_url(role: str, password: str, port: int, database: str) -> str:
    """Of a native server."""
    return (
        f"postgresql://{quote(role, safe='')}:{quote(password, safe='')}@{LOOPBACK}:{port}/{quote(database, safe='')}"
    )


def redis_url(password: str, port: int, index: int) -> str:
    """Of a native server."""
    return f"redis://:{quote(password, safe='')}@{LOOPBACK}:{port}/{index}"


def url_database(url: str, preset: Preset, service: str) -> str | None:
    """The database an external URL names, None if it names none. Raises DefinitionError if it can not be used."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES[preset] or not parts.hostname:
        raise DefinitionError(
            f"The url of infrastructure service {service!r} is not one of a {preset} server.",
            remedy=f"Write {SCHEMES[preset][0]}://user:password@host:port.",
        )
    return parts.path.strip("/") or None


def with_database(url: str, database: str, user: str | None = None, password: str | None = None) -> str:
    """The external URL for one database and, if given, another user; host, port and options stay."""
    parts = urlsplit(url)
    netloc = parts.netloc
    if user is not None:
        netloc = f"{quote(user, safe='')}:{quote(password or '', safe='')}@{netloc.rpartition('@')[2]}"
    scheme = "postgresql" if parts.scheme == "postgres" else parts.scheme
    return urlunsplit((scheme, netloc, "/" + quote(database, safe=""), parts.query, ""))
