"""What a client may ask for, with the bounds that keep one request from taking the pool."""

from collections.abc import Mapping
from typing import Final, Literal, cast

import msgspec

from omnitron import InvalidArguments

MAX_SIDE: Final = 2048  # pixels
Format = Literal["png", "jpeg", "webp"]
FORMATS: Final[tuple[str, ...]] = ("png", "jpeg", "webp")


class TransformOptions(msgspec.Struct, frozen=True):
    """width, height: pixels of the box the image is fitted into. blur: radius in pixels."""

    width: int = 512
    height: int = 512
    format: Format = "png"
    blur: float = 0.0

    @property
    def mime(self) -> str:
        return f"image/{self.format}"


def parse_options(query: Mapping[str, str]) -> TransformOptions:
    """From a query string; InvalidArguments names the parameter and its bounds."""
    chosen = query.get("format", "png")
    if chosen not in FORMATS:
        raise InvalidArguments(f"format={chosen!r} is not known.", remedy=f"Use one of {', '.join(FORMATS)}.")
    return TransformOptions(
        width=_bounded(query, "width", 512, MAX_SIDE),
        height=_bounded(query, "height", 512, MAX_SIDE),
        format=cast(Format, chosen),
        blur=float(_bounded(query, "blur", 0, 64)),
    )


def _bounded(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    least = 0 if default == 0 else 1
    if not text.isdecimal() or not least <= int(text) <= most:
        raise InvalidArguments(f"{name}={text!r} is out of bounds.", remedy=f"Use a whole number, {least} to {most}.")
    return int(text)
