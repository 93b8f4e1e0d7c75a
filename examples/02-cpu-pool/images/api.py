"""The outside: GET /render?width=&height=&format=&blur= of a sample picture."""

import hashlib
import io

from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from images.options import parse_options
from images.worker import ImageTransformWorker
from omnitron import Remote, route, service


def sample() -> bytes:
    """A picture to transform: two gradients, 1600 x 1200."""
    red, green = Image.linear_gradient("L"), Image.radial_gradient("L")
    picture = Image.merge("RGB", (red, green, red.transpose(Image.Transpose.ROTATE_90))).resize((1600, 1200))
    out = io.BytesIO()
    picture.save(out, "png")
    return out.getvalue()


@service("images@1.0.0")
class Images:
    """Dispatches to the pool; this process only moves bytes."""

    def __init__(self, pool: Remote[ImageTransformWorker]) -> None:
        self.pool = pool
        self.source = sample()

    @route("GET", "/render", public="a sample picture")
    async def render(self, request: Request) -> Response:
        options = parse_options(request.query_params)
        image = await self.pool.transform(self.source, options)
        etag = f'"{hashlib.sha256(image).hexdigest()[:16]}"'
        return Response(image, media_type=options.mime, headers={"etag": etag})
