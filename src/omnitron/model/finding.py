"""One thing `check` found in a definition."""

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """code: stable, such as "need.unknown"; level: "error" refuses the definition, "warning" does not.

    subject: "app/process" or "app". message: what is wrong and why we think so. remedy: what to write instead.
    """

    code: str
    level: str
    subject: str
    message: str
    remedy: str = ""
