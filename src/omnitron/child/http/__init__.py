"""The HTTP edge of a replica: uvicorn's HTTP/1.1 parser in our event loop, limits that name their knob, a drain."""
