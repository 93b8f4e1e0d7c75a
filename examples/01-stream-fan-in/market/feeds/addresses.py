"""`MARKET_FEEDS`: which exchanges to collect from, and where each is reached."""

from typing import Final
from urllib.parse import urlsplit

from market.feeds import EXCHANGES
from omnitron.base.errors import DefinitionError
from omnitron.base.names import suggest

EXAMPLE: Final = "binance=ws://127.0.0.1:9000/binance,okx=wss://ws.okx.com:8443/ws/v5/public"


def parse_feeds(text: str) -> dict[str, str]:
    """Exchange name -> WebSocket URL, from `name=url,name=url`. A bare name stands for its public address.

    Errors: DefinitionError for an unknown exchange, one named twice, no address, or one that is no ws:// or wss:// URL.
    """
    feeds: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, given, url = (part.strip() for part in item.partition("="))
        name = name.lower()
        if name not in EXCHANGES:
            raise DefinitionError(
                f"MARKET_FEEDS names the exchange {name!r}, which has no adapter.{suggest(name, EXCHANGES)}",
                remedy=f"Use one of {', '.join(EXCHANGES)}.",
                details={"exchange": name},
            )
        if name in feeds:
            raise DefinitionError(f"MARKET_FEEDS names {name!r} twice.", remedy="Give each exchange one address.")
        feeds[name] = _checked(name, url) if given else EXCHANGES[name].url
    if not feeds:
        raise DefinitionError("MARKET_FEEDS names no exchange.", remedy=f'Write it like "{EXAMPLE}".')
    return feeds


def _checked(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise DefinitionError(
            f"MARKET_FEEDS gives {name!r} the address {url!r}, which is not a WebSocket URL.",
            remedy=f'Write it like "{EXAMPLE}"; an address can not contain a comma.',
            details={"exchange": name, "url": url},
        )
    return url
