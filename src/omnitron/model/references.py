"""References to code: "package.module:qualified.name". A definition names user code, it does not hold it."""

import re
from typing import Final

from omnitron.base.errors import DefinitionError

_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_REF: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def code_ref(value: str, what: str) -> str:
    """The reference itself if it is well-formed, else DefinitionError."""
    text = value
    if not _REF.fullmatch(text):
        raise DefinitionError(
            f"The {what} {text!r} does not name a function.",
            remedy='Write "package.module:function".',
        )
    return text


def module_ref(value: str, what: str) -> str:
    """A dotted module name."""
    if not _MODULE.fullmatch(value):
        raise DefinitionError(
            f"The {what} {value!r} is not a module name.", remedy='Write it as in an import: "market.api", not a path.'
        )
    return value
