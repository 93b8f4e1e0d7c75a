"""Which version of a service answers a caller that was written against another one (semver.org, rule 4 included)."""

from collections.abc import Iterable


def best_version(wanted: str, offered: Iterable[str]) -> str | None:
    """The offered version to call: `wanted` itself, else the newest compatible one, else None.

    wanted: "1.2.3", or a part of one: "1.2", "1", "" (any). Compatible: of the same major version, for 0.x of the same
    minor. An older one is compatible too: while a reload lasts both answer.
    """
    versions = list(offered)
    if wanted in versions:
        return wanted
    fits = [version for version in versions if compatible(wanted, version)]
    return max(fits, key=version_key, default=None)


def compatible(wanted: str, offered: str) -> bool:
    """Whether a caller written against `wanted` may call `offered`."""
    if not wanted:
        return True
    parts, theirs = _core(wanted), _core(offered)
    if len(parts) < 3:
        return theirs[: len(parts)] == parts
    return parts[: 2 if parts[0] == 0 else 1] == theirs[: 2 if parts[0] == 0 else 1]


def version_key(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Orders versions; a release comes after its pre-releases."""
    core, _, pre = version.partition("+")[0].partition("-")
    return _core(core), not pre, pre


def _core(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("+")[0].partition("-")[0].split("."))
