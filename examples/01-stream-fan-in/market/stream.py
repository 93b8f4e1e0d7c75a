"""The stream between collector and aggregator."""

from market.trades import Trade
from omnitron.kits.streams import Stream

TICKS = Stream("ticks", type=Trade, max_len=2_000_000, durable=True, dedup_key=lambda trade: ":".join(trade.identity))
