"""Every trade, candle and average of the recorded sessions equals an independent computation, exactly."""

import json
from fractions import Fraction
from pathlib import Path

import oracle
import pytest

from market.candles import candle_json, candle_of, candles, start_us, total, total_of, vwap_json, vwap_of
from market.feeds import EXCHANGES
from market.recordings import load
from market.trades import Trade, unique

TRADES = {"binance": 91, "bitstamp": 10, "bybit": 101, "coinbase": 107, "kraken": 100, "okx": 100}


def parsed(folder: Path, exchange: str) -> list[Trade]:
    return [t for recorded in load(folder)[exchange].frames for t in EXCHANGES[exchange].parse(recorded.frame)]


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
def test_every_trade_of_a_recording_is_found_and_nothing_else(data: Path, exchange: str) -> None:
    expected = oracle.trades(data, exchange)
    found = unique(parsed(data, exchange))
    assert sorted((t.time_us, t.symbol, Fraction(t.price), Fraction(t.size)) for t in found) == sorted(
        (us, symbol, price, size) for us, _, _, symbol, price, size in expected.values()
    )
    if exchange not in ("kraken", "okx"):
        assert len(found) == TRADES[exchange]


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
def test_no_frame_of_a_recording_is_rejected(data: Path, exchange: str) -> None:
    assert not [
        r for recorded in load(data)[exchange].frames for r in EXCHANGES[exchange].read(recorded.frame).rejected
    ]


@pytest.mark.parametrize("interval", ["5m", "1h", "1d"])
def test_all_candles_equal_the_independent_ones(data: Path, interval: str) -> None:
    everything = [trade for exchange in EXCHANGES for trade in parsed(data, exchange)]
    second = [group for exchange in EXCHANGES for group in oracle.trades(data, exchange).values()]
    served: dict[str, list[object]] = {}
    for candle in candles(everything, interval):
        served.setdefault(candle.symbol, []).append(candle_json(candle))
    symbols = sorted({group[3] for group in second})
    assert sorted(served) == symbols and len(symbols) > 20
    assert served == {s: oracle.candles([g for g in second if g[3] == s], interval) for s in symbols}


def test_candles_kept_up_to_date_trade_by_trade_equal_those_computed_at_once(data: Path) -> None:
    everything = unique(trade for exchange in EXCHANGES for trade in parsed(data, exchange))
    held = {}
    for trade in everything[::-1]:
        key, one = (trade.symbol, start_us(trade.time_us, "5m")), total_of(trade)
        held[key] = held[key].merge(one) if key in held else one
    assert [candle_of(held[key], "5m") for key in sorted(held)] == candles(everything, "5m")


def test_the_average_over_all_trades_equals_the_independent_one(data: Path) -> None:
    for exchange in EXCHANGES:
        second = list(oracle.trades(data, exchange).values())
        for symbol in {group[3] for group in second}:
            group = sorted(g for g in second if g[3] == symbol)
            totals = total(t for t in parsed(data, exchange) if t.symbol == symbol)
            assert totals is not None
            served = vwap_json(vwap_of(totals))
            assert served["symbol"] == symbol
            assert served["vwap"] == oracle.average(group)
            assert served["volume"] == oracle.text(sum((g[5] for g in group), Fraction()))
            assert served["trades"] == len(group)
            assert oracle.iso_us(str(served["from"])) == group[0][0]
            assert oracle.iso_us(str(served["to"])) == group[-1][0]


def test_the_oracle_itself_knows_a_candle_computed_by_hand() -> None:
    group = [
        (299_999_999, "x", 1, "A-B", Fraction(2), Fraction(3)),
        (300_000_000, "x", 2, "A-B", Fraction(5), Fraction(1)),
    ]
    shape = {"high": "2", "low": "2", "close": "2", "volume": "3", "vwap": "2", "trades": 1}
    assert oracle.candles(group, "5m")[0] == {"start": "1970-01-01T00:00:00Z", "open": "2"} | shape
    assert oracle.candles(group, "1h")[0]["vwap"] == "2.75"
    assert json.dumps(oracle.candles(group, "1h")[0]["close"]) == '"5"'
