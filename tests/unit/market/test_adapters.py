"""Each adapter: what counts as a trade, what is noise, what is rejected, and what it asks for."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.feeds import EXCHANGES
from market.recordings import load
from market.trades import Trade

BYBIT_V5 = {
    "T": 1672304486865,
    "s": "BTCUSDT",
    "S": "Buy",
    "v": "0.001",
    "p": "16578.50",
    "i": "20f43950-d8dd",
    "BT": False,
}
SAMPLES = {
    "binance": {"e": "trade", "s": "BNBBTC", "t": 12345, "p": "0.001", "q": "100", "T": 1672515782136, "M": True},
    "bybit": {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1672304486868, "data": [BYBIT_V5]},
    "coinbase": {
        "type": "last_match",
        "trade_id": 10,
        "size": "5.23512",
        "price": "400.23",
        "product_id": "BTC-USD",
        "time": "2014-11-07T08:19:27.028459Z",
    },
    "kraken": [0, [["5541.20000", "0.15850568", "1534614057.321597", "s", "l", ""]], "trade", "XBT/USD"],
    "okx": {
        "arg": {"channel": "trades", "instId": "BTC-USDT"},
        "data": [
            {
                "instId": "BTC-USDT",
                "tradeId": "130639474",
                "px": "42219.9",
                "sz": "0.12060306",
                "side": "buy",
                "ts": "1630048897897",
            }
        ],
    },
    "bitstamp": {
        "event": "trade",
        "channel": "live_trades_btcusd",
        "data": {
            "id": 7,
            "price": 3805.4,
            "price_str": "3805.40",
            "amount_str": "0.07920000",
            "microtimestamp": "1641343699596000",
        },
    },
}
EXPECTED = {
    "binance": Trade("binance", "BNB-BTC", "12345", Decimal("0.001"), Decimal(100), 1672515782136000),
    "bybit": Trade("bybit", "BTC-USDT", "20f43950-d8dd", Decimal("16578.50"), Decimal("0.001"), 1672304486865000),
    "coinbase": Trade("coinbase", "BTC-USD", "10", Decimal("400.23"), Decimal("5.23512"), 1415348367028459),
    "kraken": Trade(
        "kraken",
        "BTC-USD",
        "1534614057.321597:5541.20000:0.15850568:0",
        Decimal("5541.20000"),
        Decimal("0.15850568"),
        1534614057321597,
    ),
    "okx": Trade("okx", "BTC-USDT", "130639474", Decimal("42219.9"), Decimal("0.12060306"), 1630048897897000),
    "bitstamp": Trade("bitstamp", "BTC-USD", "7", Decimal("3805.40"), Decimal("0.07920000"), 1641343699596000),
}
names = pytest.mark.parametrize("exchange", sorted(EXCHANGES))


@names
@pytest.mark.parametrize("as_bytes", [False, True])
def test_the_documented_trade_is_read_digit_for_digit(exchange: str, as_bytes: bool) -> None:
    frame = json.dumps(SAMPLES[exchange])
    (trade,) = EXCHANGES[exchange].parse(frame.encode() if as_bytes else frame)
    assert repr(trade) == repr(EXPECTED[exchange])


def test_binance_trades_come_bare_and_wrapped_single_and_aggregated() -> None:
    bare = SAMPLES["binance"]
    assert isinstance(bare, dict)
    aggregated = {**bare, "e": "aggTrade", "a": 99}
    for message, trade_id in [(bare, "12345"), (aggregated, "99")]:
        for frame in (message, {"stream": "bnbbtc@x", "data": message}):
            assert [t.id for t in EXCHANGES["binance"].parse(json.dumps(frame))] == [trade_id]


def test_every_element_of_a_frame_is_a_trade_and_bad_ones_take_none_with_them() -> None:
    bad = [
        {**BYBIT_V5, "p": "NaN"},
        {**BYBIT_V5, "v": 0},
        {**BYBIT_V5, "T": "soon"},
        {**BYBIT_V5, "s": ""},
        7,
        {**BYBIT_V5, "i": None},
    ]
    frame = json.dumps({"topic": "publicTrade.BTCUSDT", "data": [BYBIT_V5, *bad, {**BYBIT_V5, "i": "b", "v": 2}]})
    reading = EXCHANGES["bybit"].read(frame)
    assert [t.id for t in reading.trades] == ["20f43950-d8dd", "b"]
    assert [r.reason for r in reading.rejected] == ["price", "size", "time", "symbol", "shape", "identity"]


def test_equal_fills_in_one_kraken_frame_are_two_trades_and_the_frame_again_is_none() -> None:
    row = ["1.0", "2.0", "1534614057.321597", "s", "l", ""]
    frame = json.dumps([5, [row, row], "trade", "ETH/XBT"])
    once, again = EXCHANGES["kraken"].parse(frame), EXCHANGES["kraken"].parse(frame)
    assert len({t.identity for t in once}) == 2
    assert once == again


def test_json_numbers_are_as_good_as_text() -> None:
    row = '{"symbol":"BTCUSD","price":21550.00000000,"size":1E+3,"trade_time_ms":1618677785116,"trade_id":"x"}'
    frame = f'{{"topic":"trade.BTCUSD","data":[{row}]}}'
    (trade,) = EXCHANGES["bybit"].parse(frame)
    assert (repr(trade.price), repr(trade.size)) == ("Decimal('21550.00000000')", "Decimal('1E+3')")


@names
@pytest.mark.parametrize(
    "frame",
    [
        '{"event":"heartbeat"}',
        '{"result":null,"id":1}',
        '{"type":"subscriptions","channels":[]}',
        "[]",
        "{}",
        "1",
        '"trade"',
        "null",
        "pong",
        '{"event":"pong"}',
        '{"op":"pong","success":true}',
        '[1,{"a":[["1","2","3"]]},"book-10","XBT/USD"]',
        '{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"}}',
        '{"data":null}',
        '{"data":[1]}',
        '{"event":"bts:subscription_succeeded","channel":"live_trades_btcusd","data":{}}',
    ],
)
def test_noise_is_neither_trade_nor_rejected(exchange: str, frame: str) -> None:
    reading = EXCHANGES[exchange].read(frame)
    assert (reading.trades, reading.rejected) == ((), ())


@names
@pytest.mark.parametrize("frame", ["{", "", '{"e":"trade","p":NaN}', b"\xff\xfe", "[" * 10_000])
def test_what_is_not_json_is_rejected_with_that_reason(exchange: str, frame: str | bytes) -> None:
    assert [r.reason for r in EXCHANGES[exchange].read(frame).rejected] == ["not JSON"]


@names
@pytest.mark.parametrize("cut", [0.3, 0.6, 0.99])
def test_a_truncated_frame_is_rejected(exchange: str, cut: float) -> None:
    frame = json.dumps(SAMPLES[exchange])
    reading = EXCHANGES[exchange].read(frame[: int(len(frame) * cut)])
    assert (reading.trades, [r.reason for r in reading.rejected]) == ((), ["not JSON"])


@names
@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity", "", "1e9999", None, [], {}, True, "1,5"])
def test_impossible_prices_and_sizes_are_rejected(exchange: str, value: object) -> None:
    expected = EXPECTED[exchange]
    for stated, reason in ((expected.price, "price"), (expected.size, "size")):
        frame = json.dumps(SAMPLES[exchange]).replace(f'"{stated}"', json.dumps(value))
        reading = EXCHANGES[exchange].read(frame)
        assert (reading.trades, [r.reason for r in reading.rejected]) == ((), [reason])


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["trade", "trades", "1", "s"]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from([*"asptqTevidE", "data", "topic", "type", "arg", "channel", "event"]) | st.text(max_size=6),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(junk)
@settings(max_examples=150)
def test_no_json_however_strange_raises(message: object) -> None:
    frame = json.dumps(message)
    for exchange in EXCHANGES.values():
        exchange.read(frame)


@given(st.data(), junk)
@settings(max_examples=200)
def test_no_mutation_of_a_real_trade_raises_or_gives_an_impossible_one(data: st.DataObject, value: object) -> None:
    name = data.draw(st.sampled_from(sorted(SAMPLES)))
    message = json.loads(json.dumps(SAMPLES[name]))
    spots = list(_spots(message))
    holder, key = data.draw(st.sampled_from(spots))
    holder[key] = value
    for trade in EXCHANGES[name].parse(json.dumps(message)):
        assert trade.price > 0 and trade.size > 0 and trade.time_us > 0 and trade.id and trade.symbol


@given(st.data())
@settings(max_examples=200)
def test_no_flipped_byte_raises(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SAMPLES)))
    frame = bytearray(json.dumps(SAMPLES[name]).encode())
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    EXCHANGES[name].read(bytes(frame))


def _spots(message: object):  # type: ignore[no-untyped-def]
    keys = list(message) if isinstance(message, dict) else range(len(message)) if isinstance(message, list) else []
    for key in keys:
        yield message, key
        yield from _spots(message[key])  # type: ignore[index]


@pytest.mark.parametrize(
    ("exchange", "requests"),
    [
        ("binance", [{"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", "ethbtc@aggTrade"], "id": 1}]),
        ("bybit", [{"op": "subscribe", "args": ["publicTrade.BTCUSDT", "publicTrade.ETHBTC"]}]),
        (
            "coinbase",
            [{"type": "subscribe", "product_ids": ["BTC-USDT", "ETH-BTC"], "channels": ["matches", "heartbeat"]}],
        ),
        ("kraken", [{"event": "subscribe", "pair": ["XBT/USDT", "ETH/XBT"], "subscription": {"name": "trade"}}]),
        ("okx", [{"op": "subscribe", "args": [{"channel": "trades", "instId": s} for s in ("BTC-USDT", "ETH-BTC")]}]),
        (
            "bitstamp",
            [{"event": "bts:subscribe", "data": {"channel": f"live_trades_{s}"}} for s in ("btcusdt", "ethbtc")],
        ),
    ],
)
def test_subscriptions_are_as_documented(exchange: str, requests: list[object]) -> None:
    assert [json.loads(frame) for frame in EXCHANGES[exchange].subscribe(["BTC-USDT", "ETH-BTC"])] == requests


@names
def test_no_symbols_ask_for_nothing(exchange: str) -> None:
    assert EXCHANGES[exchange].subscribe([]) == []


def test_bybit_is_asked_for_ten_topics_at_a_time() -> None:
    frames = EXCHANGES["bybit"].subscribe([f"C{n}-USDT" for n in range(25)])
    assert [len(json.loads(frame)["args"]) for frame in frames] == [10, 10, 5]


@names
def test_recordings_hold_noise_as_well_as_trades(data: Path, exchange: str) -> None:
    found = [bool(EXCHANGES[exchange].parse(recorded.frame)) for recorded in load(data)[exchange].frames]
    assert any(found) and not all(found)
