"""One name per market: `BASE-QUOTE` in capitals, whatever an exchange calls it.

A name with a separator says itself where its base ends. In one without, the quote is looked for at the end, longest
first. The surprise is BUSD: `BTCBUSD` ends in it, `SHIBUSD` only seems to, so bases known to end in B win.
"""

import re
from typing import Final

QUOTES: Final = ("USDT", "USDC", "BUSD", "USD", "EUR", "GBP", "BTC", "ETH")
MAX_SYMBOL_LEN: Final = 64
_RENAMED: Final = {"XBT": "BTC"}
_BASES_ENDING_IN_B: Final = frozenset({"1000SHIB", "BNB", "CKB", "DGB", "SHIB", "TRB"})
_MONTH: Final = r"[FGHJKMNQUVXZ][0-9]{2}"  # futures month codes: Z21 is December 2021
_SUFFIX: Final = re.compile(rf"PERP|SWAP|[0-9]{{6}}|[0-9]{{1,2}}[A-Z]{{3}}[0-9]{{2}}|{_MONTH}")
_DATED: Final = re.compile(rf"(.+?)({_MONTH})")
_KRAKEN_LEGACY: Final = re.compile(r"X([A-Z]{3})[XZ]([A-Z]{3})")
_SEPARATOR: Final = re.compile(r"[-/_]")


def normalize(exchange: str, raw: str) -> str:
    """`BASE-QUOTE`, with `-SUFFIX` for a dated or perpetual contract; the raw name in capitals if it is none of ours.

    `CTKUSDT` -> `CTK-USDT`, `XMR/USD` -> `XMR-USD`, `btcusd_perp` -> `BTC-USD-PERP`, `BTCUSDZ21` -> `BTC-USD-Z21`,
    `XXBTZUSD` -> `BTC-USD` (Kraken), `UNI-USD-SWAP` as it is.
    """
    name = raw.strip().upper()
    head, *rest = _SEPARATOR.split(name)
    if not all((head, *rest)):
        return name
    if rest:
        pair = _pair(head) if _SUFFIX.fullmatch(rest[0]) else None
        return "-".join(_RENAMED.get(part, part) for part in (*(pair or (head,)), *rest))
    if exchange == "kraken" and (legacy := _KRAKEN_LEGACY.fullmatch(name)):
        return "-".join(_RENAMED.get(part, part) for part in legacy.groups())
    if pair := _pair(name):
        return "-".join(pair)
    if (dated := _DATED.fullmatch(name)) and (pair := _pair(dated[1])):
        return "-".join((*pair, dated[2]))
    return name


def native(exchange: str, symbol: str) -> str:
    """What the exchange calls the market; the way back from `normalize`, for subscriptions."""
    base, _, rest = symbol.upper().partition("-")
    quote, _, suffix = rest.partition("-")
    match exchange:
        case "kraken":
            return "/".join({"BTC": "XBT"}.get(part, part) for part in (base, rest) if part)
        case "binance":
            return (f"{base}{quote}_{suffix}" if suffix else base + quote).lower()
        case "bitstamp":
            return (f"{base}{quote}-{suffix}" if suffix else base + quote).lower()
        case "bybit" if quote and not _SUFFIX.fullmatch(quote):
            return base + quote + (suffix if re.fullmatch(_MONTH, suffix) or not suffix else f"-{suffix}")
        case _:
            return symbol.upper()


def _pair(name: str) -> tuple[str, str] | None:
    for quote in (*QUOTES, "XBT"):
        base = name.removesuffix(quote)
        if base in ("", name) or (quote == "BUSD" and base + "B" in _BASES_ENDING_IN_B):
            continue
        return _RENAMED.get(base, base), _RENAMED.get(quote, quote)
    return None
