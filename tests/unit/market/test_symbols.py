"""One name per market, whatever an exchange calls it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.symbols import QUOTES, native, normalize

NAMES = [
    ("binance", "CTKUSDT", "CTK-USDT"),
    ("binance", "ctkusdt", "CTK-USDT"),
    ("binance", "1000SHIBUSDT", "1000SHIB-USDT"),
    ("binance", "ETHBTC", "ETH-BTC"),
    ("binance", "BTCBUSD", "BTC-BUSD"),
    ("binance", "BUSDUSDT", "BUSD-USDT"),
    ("binance", "USDCUSDT", "USDC-USDT"),
    ("binance", "btcusd_perp", "BTC-USD-PERP"),
    ("binance", "BNBUSD_PERP", "BNB-USD-PERP"),
    ("binance", "BTCUSDT_220325", "BTC-USDT-220325"),
    ("bitstamp", "ethusd", "ETH-USD"),
    ("bitstamp", "shibusd", "SHIB-USD"),
    ("bitstamp", "usdteur", "USDT-EUR"),
    ("bitstamp", "batbtc", "BAT-BTC"),
    ("bitstamp", "gbpusd", "GBP-USD"),
    ("bybit", "BTCUSD", "BTC-USD"),
    ("bybit", "BTCUSDZ21", "BTC-USD-Z21"),
    ("bybit", "BTCUSDM22", "BTC-USD-M22"),
    ("bybit", "BTC-26AUG22", "BTC-26AUG22"),
    ("bybit", "BTCUSDT-27JUN25", "BTC-USDT-27JUN25"),
    ("bybit", "XTZUSDT", "XTZ-USDT"),
    ("coinbase", "BAND-GBP", "BAND-GBP"),
    ("coinbase", "WBTC-BTC", "WBTC-BTC"),
    ("coinbase", "SKL-BTC", "SKL-BTC"),
    ("kraken", "XBT/USD", "BTC-USD"),
    ("kraken", "ETH/XBT", "ETH-BTC"),
    ("kraken", "XMR/USD", "XMR-USD"),
    ("kraken", "ADA/JPY", "ADA-JPY"),
    ("kraken", "XXBTZUSD", "BTC-USD"),
    ("kraken", "XETHXXBT", "ETH-BTC"),
    ("kraken", "XBTUSDT", "BTC-USDT"),
    ("kraken", "ETHXBT", "ETH-BTC"),
    ("okx", "BTC-USDT", "BTC-USDT"),
    ("okx", "BTC-USD-220527", "BTC-USD-220527"),
    ("okx", "UNI-USD-SWAP", "UNI-USD-SWAP"),
]


@pytest.mark.parametrize(("exchange", "raw", "name"), NAMES)
def test_a_market_is_named_base_quote_and_keeps_its_suffix(exchange: str, raw: str, name: str) -> None:
    assert normalize(exchange, raw) == name


@pytest.mark.parametrize("raw", ["weird", "usd", "BTC", "-", "/x", "X--Y", "", "币安"])
def test_what_is_not_recognised_stays_itself_in_capitals(raw: str) -> None:
    assert normalize("binance", raw) == raw.upper()


@given(st.text(max_size=40))
def test_no_name_is_too_strange(raw: str) -> None:
    assert isinstance(normalize("kraken", raw), str)


@given(st.from_regex(r"[A-Z0-9]{2,6}", fullmatch=True), st.sampled_from(QUOTES))
def test_normalizing_twice_changes_nothing(base: str, quote: str) -> None:
    once = normalize("okx", f"{base}-{quote}")
    assert normalize("okx", once) == once


@pytest.mark.parametrize(
    ("exchange", "raw", "name"), [row for row in NAMES if row[1] not in ("ctkusdt", "XXBTZUSD", "XETHXXBT")]
)
def test_a_subscription_uses_the_name_the_exchange_understands(exchange: str, raw: str, name: str) -> None:
    assert normalize(exchange, native(exchange, name)) == name
    if exchange != "kraken":
        assert native(exchange, name).upper() == raw.upper()


def test_kraken_is_asked_for_its_own_name_of_bitcoin() -> None:
    assert native("kraken", "BTC-USD") == "XBT/USD"
