"""The pool's side. The work itself is done in a thread, so the process goes on answering its probes meanwhile."""

import asyncio
import io

from PIL import Image, ImageFilter

from images.options import MAX_SIDE, TransformOptions
from omnitron import InvalidArguments, rpc, service

MAX_SOURCE_PIXELS = 64_000_000  # beyond this a small file may be a bomb


@service("image-transform@1.0.0")
class ImageTransformWorker:
    """Stateless: any replica may get any call."""

    @rpc(idempotent=True, deadline="20s")
    async def transform(self, source: bytes, options: TransformOptions) -> bytes:
        """The image fitted into the box, in the asked format."""
        if not (0 < options.width <= MAX_SIDE and 0 < options.height <= MAX_SIDE):
            raise InvalidArguments(f"{options.width}x{options.height} is out of bounds.", remedy=f"At most {MAX_SIDE}.")
        return await asyncio.to_thread(_transform, source, options)


def _transform(source: bytes, options: TransformOptions) -> bytes:
    with Image.open(io.BytesIO(source)) as image:
        if image.width * image.height > MAX_SOURCE_PIXELS:
            raise InvalidArguments(f"The source has {image.width}x{image.height} pixels.", remedy="Make it smaller.")
        picture = image.convert("RGB")
    picture.thumbnail((options.width, options.height), Image.Resampling.LANCZOS)
    if options.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(options.blur))
    out = io.BytesIO()
    picture.save(out, options.format)
    return out.getvalue()
