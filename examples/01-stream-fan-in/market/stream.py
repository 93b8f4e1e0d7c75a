"""The stream between collector and aggregator."""

from omnitron.kits.streams import Stream

from market.trades import Trade

TICKS = Stream("ticks", type=Trade, max_len=2_000_000)
