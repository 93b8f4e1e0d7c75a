"""Candles do not depend on the order of arrival or on repetitions, and are exact."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.candles import INTERVALS_US, Totals, candle_json, candle_of, candles, start_us, total, total_of
from market.trades import Trade, order_key, unique
from omnitron.base.errors import InvalidArguments

amounts = st.integers(1, 10**12).map(lambda n: Decimal(n).scaleb(-8))
DAY_US = INTERVALS_US["1d"]


@st.composite
def histories(draw: st.DrawFn) -> list[Trade]:
    """Distinct trades of one market within one day, on two exchanges, many at the same moment."""
    keys = draw(st.lists(st.tuples(st.sampled_from(["binance", "okx"]), st.integers(1, 30)), min_size=1, unique=True))
    moments = st.integers(0, 5).map(lambda n: n * 60_000_000) | st.integers(0, DAY_US - 1)
    return [Trade(e, "A-B", str(i), draw(amounts), draw(amounts), draw(moments)) for e, i in keys]


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_neither_order_nor_repetition_changes_a_candle(history: list[Trade], random: object) -> None:
    shuffled = history + history[::2]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for interval in INTERVALS_US:
        assert candles(shuffled, interval) == candles(history, interval)


@given(histories(), st.integers(0, 100))
@settings(max_examples=60)
def test_totals_merge_however_they_are_split(history: list[Trade], at: int) -> None:
    left, right = total(history[: at % len(history)]), total(history[at % len(history) :])
    assert right is not None
    merged = right if left is None else right.merge(left)
    assert merged == total(history)
    one_by_one: Totals = total_of(history[0])
    for trade in history[1:]:
        one_by_one = one_by_one.merge(total_of(trade))
    assert one_by_one == merged


@given(histories())
@settings(max_examples=60)
def test_a_candle_is_what_its_definition_says(history: list[Trade]) -> None:
    (candle,) = candles(history, "1d")
    ranked = sorted(history, key=lambda t: (t.time_us, t.exchange, int(t.id)))
    notional = sum(Fraction(t.price) * Fraction(t.size) for t in history)
    volume = sum(Fraction(t.size) for t in history)
    assert (candle.open, candle.close) == (ranked[0].price, ranked[-1].price)
    assert (candle.high, candle.low) == (max(t.price for t in history), min(t.price for t in history))
    assert (Fraction(candle.volume), candle.trades) == (volume, len(history))
    assert Fraction(candle.vwap) == Fraction(round(notional / volume * 10**12), 10**12)


def trade(trade_id: str, price: str, time_us: int, exchange: str = "okx") -> Trade:
    return Trade(exchange, "A-B", trade_id, Decimal(price), Decimal("1.5"), time_us)


def test_a_late_trade_corrects_open_and_low() -> None:
    held = total_of(trade("5", "10", 2_000_000)).merge(total_of(trade("6", "12", 3_000_000)))
    late = held.merge(total_of(trade("4", "9.50", 1_000_000)))
    assert candle_json(candle_of(late, "5m")) == {
        "start": "1970-01-01T00:00:00Z",
        "open": "9.5",
        "high": "12",
        "low": "9.5",
        "close": "12",
        "volume": "4.5",
        "vwap": "10.5",
        "trades": 3,
    }


def test_identities_that_are_numbers_compare_as_numbers() -> None:
    (candle,) = candles([trade("10", "3", 7), trade("9", "2", 7), trade("111", "4", 7)], "5m")
    assert (candle.open, candle.close) == (Decimal(2), Decimal(4))


def test_at_one_moment_exchanges_come_in_the_order_of_their_names() -> None:
    (candle,) = candles([trade("1", "3", 7, "kraken"), trade("2", "2", 7, "binance")], "5m")
    assert (candle.open, candle.close) == (Decimal(2), Decimal(3))


def test_identities_of_several_parts_compare_part_by_part() -> None:
    ids = ["7.5:10000.0:1.0:0", "7.5:9999.9:10.0:0", "7.5:9999.9:9.0:1", "7.5:9999.9:9.0:0"]
    assert sorted(ids, key=lambda i: order_key(trade(i, "1", 7))) == ids[::-1]


def test_any_two_identities_can_be_compared() -> None:
    ids = ["", "5", "05", "a1b2", "5:x", "x:5", "5.", "1e5"]
    keys = [order_key(trade(i, "1", 7)) for i in ids]
    assert len(set(sorted(keys))) == len(ids)


def test_a_candle_covers_its_start_and_not_its_end() -> None:
    assert [c.start_us for c in candles([trade("1", "1", 299_999_999), trade("2", "1", 300_000_000)], "5m")] == [
        0,
        300_000_000,
    ]


def test_the_first_of_two_trades_with_one_identity_counts() -> None:
    assert unique([trade("1", "1", 5), trade("1", "2", 6)]) == [trade("1", "1", 5)]


def test_exchanges_are_one_market_but_do_not_share_identities() -> None:
    totals = total([trade("1", "1", 5, "okx"), trade("1", "2", 5, "kraken"), trade("1", "1", 5, "okx")])
    assert totals is not None and totals.trades == 2


def test_the_extremes_a_trade_may_have_do_not_round() -> None:
    tiny, huge = Decimal("1E-30"), Decimal("9" * 20 + "." + "9" * 30)
    totals = total([Trade("okx", "A-B", "1", huge, huge, 1), Trade("okx", "A-B", "2", tiny, tiny, 2)])
    assert totals is not None
    assert Fraction(totals.notional) == Fraction(huge) ** 2 + Fraction(tiny) ** 2


def test_no_trades_have_no_totals() -> None:
    assert total([]) is None
    assert candles([], "1h") == []


def test_an_unknown_interval_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArguments, match="5m, 1h, 1d"):
        start_us(5, "2m")
