-- What was traded. The key is what makes a trade seen twice count once.
CREATE TABLE trades (
    exchange text NOT NULL,
    symbol text NOT NULL,
    id text NOT NULL,
    price numeric NOT NULL,
    size numeric NOT NULL,
    time_us bigint NOT NULL,
    PRIMARY KEY (symbol, exchange, id)
);
CREATE INDEX trades_by_time ON trades (symbol, time_us);

-- What it comes to, per market: kept by the stream-aggregator in the transaction that stores the trades.
CREATE TABLE symbols (
    symbol text PRIMARY KEY,
    notional numeric NOT NULL,
    volume numeric NOT NULL,
    trades bigint NOT NULL,
    first_us bigint NOT NULL,
    last_us bigint NOT NULL
);

-- Candles, 1h from 5m and 1d from 1h. notional is the sum of price x size.
CREATE TABLE candles (
    symbol text NOT NULL,
    interval text NOT NULL,
    start_us bigint NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    notional numeric NOT NULL,
    trades bigint NOT NULL,
    PRIMARY KEY (symbol, interval, start_us)
);

-- Candles that have to be computed again, because something in them has changed.
CREATE TABLE stale_candles (
    symbol text NOT NULL,
    interval text NOT NULL,
    start_us bigint NOT NULL,
    PRIMARY KEY (symbol, interval, start_us)
);
