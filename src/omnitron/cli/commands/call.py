"""`call`: one RPC from the shell, straight to a replica."""

import json
from typing import Any

import click

from omnitron.base.errors import NotFound, Refused
from omnitron.base.names import suggest
from omnitron.cli.command import command
from omnitron.cli.connect import connect
from omnitron.cli.output import echo_json
from omnitron.control.keeper import ServiceEndpoints
from omnitron.rpc.blocking import BlockingClient


@command(
    stack=True,
    epilog="  omnitron call market.symbols\n  omnitron call OhlcvAggregatorWorker.rebuild_candle BTC-USDT 5m",
)
@click.argument("method", metavar="SERVICE.METHOD")
@click.argument("args", nargs=-1)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the answer.")
def call(method: str, args: tuple[str, ...], timeout: float, stack: str | None, as_json: bool) -> None:
    """Call a method of a service and print its result as JSON.

    SERVICE is a service name, name@version or class name, after "app/" if several apps have it. ARGS are JSON values
    (text that is not JSON is taken as it is), in the order of the parameters.
    """
    service, dot, name = method.rpartition(".")
    if not dot:
        raise Refused(f"{method!r} names no method.", remedy="Write SERVICE.METHOD, as in market.symbols.")
    with connect() as daemon:
        found = _endpoint(daemon.endpoints(stack), service)
    client = BlockingClient(found.endpoints[0].path, timeout)
    try:
        echo_json(client.call(found.service, name, *map(_value, args), result=Any))
    finally:
        client.close()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _endpoint(services: list[ServiceEndpoints], wanted: str) -> ServiceEndpoints:
    app, slash, name = wanted.rpartition("/")
    found = [
        s
        for s in services
        if name in (s.service, s.service.partition("@")[0], s.class_name) and (not slash or s.app == app)
    ]
    if not found:
        known = {n for s in services for n in (s.service.partition("@")[0], s.class_name)}
        raise NotFound(
            f"No service {wanted!r} is exposed.{suggest(name, known)}",
            remedy=f"Exposed: {', '.join(sorted(known)) or 'none'}. A process exposes with Topology(expose=True).",
        )
    if len(found) > 1:
        raise Refused(
            f"{wanted!r} names {len(found)} services.",
            remedy="Say which: " + ", ".join(f"{s.app}/{s.service}" for s in found) + ".",
        )
    if not found[0].endpoints:
        raise Refused(f"No replica of {wanted!r} is ready.", remedy=f"See `omnitron why {found[0].app}`.")
    return found[0]
