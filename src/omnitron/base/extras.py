"""Optional extras: what `pip install 'omnitron[postgres]'` adds, and what is said where it is missing."""

from omnitron.base.errors import DefinitionError


def missing_extra(what: str, extra: str, error: ModuleNotFoundError) -> DefinitionError:
    """To be raised in place of the import error of something that needs the extra."""
    return DefinitionError(
        f"{what} needs the package {error.name!r}, which is not installed.",
        remedy=f"Run `pip install 'omnitron[{extra}]'`.",
        details={"extra": extra},
    )
