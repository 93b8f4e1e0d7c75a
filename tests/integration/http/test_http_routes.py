from pathlib import Path
from typing import Any

from omnitron.model.routes import CustomRoute

Serve = Any


async def test_routes_answer_what_their_handlers_return(serve: Serve) -> None:
    custom = CustomRoute(method="GET", pattern="/files/*", handler="app:custom", public="to see")
    edge = await serve(process={"module": "app", "custom_routes": (custom,)})
    assert (await edge.client.get("/symbols")).json() == {"symbols": ["BTC"], "price": "1.10"}
    response = await edge.client.get("/symbols/BTC")
    assert response.text == "btc" and response.headers["x-own"] == "1" and response.headers["traceparent"]
    assert (await edge.client.get("/chunks")).text == "012"
    assert (await edge.client.get("/files/a/b")).text == "a/b1"
    head = await edge.client.head("/symbols/BTC")
    assert head.status_code == 200 and head.text == ""
    assert (await edge.client.options("/symbols")).status_code == 204


async def test_health_is_told(serve: Serve) -> None:
    edge = await serve()
    assert (await edge.client.get("/healthz")).json() == {"status": "ok"}
    assert (await edge.client.get("/readyz")).status_code == 200


async def test_cors_is_as_declared(serve: Serve) -> None:
    edge = await serve(cors=("https://a.example",))
    allowed = await edge.client.get("/symbols", headers={"origin": "https://a.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"
    other = await edge.client.get("/symbols", headers={"origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers
    preflight = await edge.client.options(
        "/rpc/market/price", headers={"origin": "https://a.example", "access-control-request-method": "POST"}
    )
    assert preflight.status_code == 204 and preflight.headers["access-control-allow-methods"] == "POST"


async def test_a_route_that_does_not_say_why_it_is_open_fails_the_boot(serve: Serve) -> None:
    custom = CustomRoute(method="GET", pattern="/files/*", handler="app:custom")
    edge = await serve(process={"module": "app", "custom_routes": (custom,)})
    report = edge.replica.reports[-1]
    assert report.phase == "failed" and "/files/*" in report.detail and 'public="reason"' in report.detail


ASGI = """
import asyncio
STATE = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            STATE.append(message["type"])
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                open("shut", "w").close()
                return
    message = await receive()
    if scope["path"] == "/slow":
        await asyncio.sleep(60)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": STATE[0].encode()})
"""


async def test_an_asgi_application_runs_unchanged_with_lifespan_and_limits(serve: Serve, tmp_path: Path) -> None:
    edge = await serve(ASGI, process={"asgi": "app:app"}, request_timeout=0.5)
    assert (await edge.client.get("/")).text == "lifespan.startup"
    slow = await edge.client.get("/slow")
    assert slow.status_code == 504 and "Http.request_timeout" in slow.json()["remedy"]
    edge.replica.terminate()
    assert await edge.replica.exit_code() == 0
    assert (tmp_path / "shut").exists()
