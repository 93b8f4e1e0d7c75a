"""The market computed a second time, from the description of the data alone, with plain json and fractions.

Shares no code with the example on purpose: what both get wrong in the same way no test would find.
"""

import calendar
import json
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

QUOTES = ["USDT", "USDC", "BUSD", "USD", "EUR", "GBP", "BTC", "ETH"]
WIDTH = {"5m": 300, "1h": 3600, "1d": 86400}


def name(raw: str) -> str:
    text = raw.upper().replace("/", "-").replace("XBT", "BTC")
    if "-" in text:
        return text
    quote = next(q for q in QUOTES if text.endswith(q))
    return text[: -len(quote)] + "-" + quote


def iso_us(text: str) -> int:
    stem, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(stem, "%Y-%m-%dT%H:%M:%S")) * 10**6 + int((fraction + "000000")[:6])


def claims(exchange: str, message: Any) -> list[tuple[str, Any, Any, Any, int]]:
    """(symbol, identity, price, size, microseconds) of each trade in a message of a recording."""
    if exchange == "kraken":
        if not isinstance(message, list) or message[2] != "trade":
            return []
        return [
            (message[3], (Fraction(t), Fraction(p), Fraction(v), i), p, v, int(Fraction(t) * 10**6))
            for i, (p, v, t, *_) in enumerate(message[1])
        ]
    if not isinstance(message, dict):
        return []
    data = message.get("data")
    if exchange == "binance" and data["e"] == "aggTrade":
        return [(data["s"], data["a"], data["p"], data["q"], data["T"] * 1000)]
    if exchange == "bybit" and message.get("topic", "").startswith("trade."):
        return [(d["symbol"], d["trade_id"], d["price"], d["size"], int(d["trade_time_ms"]) * 1000) for d in data]
    if exchange == "coinbase" and message["type"].endswith("match"):
        m = message
        return [(m["product_id"], m["trade_id"], m["price"], m["size"], iso_us(m["time"]))]
    if exchange == "bitstamp" and message["event"] == "trade":
        symbol = message["channel"].rsplit("_", 1)[1]
        return [(symbol, data["id"], data["price_str"], data["amount_str"], int(data["microtimestamp"]))]
    if exchange == "okx" and message.get("arg", {}).get("channel") == "trades" and data:
        return [(d["instId"], int(d["tradeId"]), d["px"], d["sz"], int(d["ts"]) * 1000) for d in data]
    return []


def trades(folder: Path, exchange: str) -> dict[tuple[Any, ...], tuple[int, str, Any, str, Fraction, Fraction]]:
    """(exchange, symbol, identity) -> (time, exchange, identity, symbol, price, size)."""
    found: dict[tuple[Any, ...], tuple[int, str, Any, str, Fraction, Fraction]] = {}
    for line in (folder / f"{exchange}.jsonl").read_text().splitlines():
        frame = json.loads(line)["frame"]
        if frame in ("ping", "pong"):
            continue
        for raw, identity, price, size, us in claims(exchange, json.loads(frame, parse_float=str)):
            symbol = name(raw)
            found[exchange, symbol, identity] = (us, exchange, identity, symbol, Fraction(price), Fraction(size))
    return found


def text(value: Fraction) -> str:
    """A finite decimal, written out by long division."""
    whole, rest = divmod(value, 1)
    digits = ""
    while rest:
        digit, rest = divmod(rest * 10, 1)
        digits += str(digit)
    return f"{whole}.{digits}" if digits else str(whole)


def average(group: list[Any]) -> str:
    notional, volume = sum(g[4] * g[5] for g in group), sum(g[5] for g in group)
    return text(Fraction(round(notional / volume * 10**12), 10**12))


def candles(group: list[Any], interval: str) -> list[dict[str, Any]]:
    """The candles of one market's trades, as they are to be served."""
    starts = sorted({g[0] // 10**6 // WIDTH[interval] for g in group})
    result = []
    for start in starts:
        part = sorted((g for g in group if g[0] // 10**6 // WIDTH[interval] == start), key=lambda g: g[:3])
        result.append(
            {
                "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start * WIDTH[interval])),
                "open": text(part[0][4]),
                "high": text(max(g[4] for g in part)),
                "low": text(min(g[4] for g in part)),
                "close": text(part[-1][4]),
                "volume": text(sum((g[5] for g in part), Fraction())),
                "vwap": average(part),
                "trades": len(part),
            }
        )
    return result


def iso(us: int) -> str:
    """A moment as served: microseconds, or none if there are none."""
    whole, rest = divmod(us, 10**6)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + (f".{rest:06d}Z" if rest else "Z")


def vwap(symbol: str, group: list[Any]) -> dict[str, Any]:
    """The average over one market's trades, as it is to be served."""
    return {
        "symbol": symbol,
        "vwap": average(group),
        "volume": text(sum((g[5] for g in group), Fraction())),
        "trades": len(group),
        "from": iso(min(g[0] for g in group)),
        "to": iso(max(g[0] for g in group)),
    }
