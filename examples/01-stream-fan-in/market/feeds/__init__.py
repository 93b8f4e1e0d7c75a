"""The exchanges: one adapter a file, one client for all of them."""

from typing import Final

from market.feeds.binance import BINANCE
from market.feeds.bitstamp import BITSTAMP
from market.feeds.bybit import BYBIT
from market.feeds.coinbase import COINBASE
from market.feeds.exchange import Exchange, Reading, Rejected
from market.feeds.kraken import KRAKEN
from market.feeds.okx import OKX

EXCHANGES: Final[dict[str, Exchange]] = {
    exchange.name: exchange for exchange in (BINANCE, BITSTAMP, BYBIT, COINBASE, KRAKEN, OKX)
}

__all__ = ["EXCHANGES", "Exchange", "Reading", "Rejected"]
