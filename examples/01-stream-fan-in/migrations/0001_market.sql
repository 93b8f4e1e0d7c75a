-- What was traded. The key is what makes a trade seen twice count once.
-- Names are compared as bytes (COLLATE "C"), not by the rules of a language: cheaper, and the same everywhere.
CREATE TABLE trades (
    exchange text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    price numeric NOT NULL,
    size numeric NOT NULL,
    time_us bigint NOT NULL,
    PRIMARY KEY (symbol, exchange, id)
);
CREATE INDEX trades_by_time ON trades (symbol, time_us);

-- What it comes to, per market: kept by the stream-aggregator in the transaction that stores the trades.
CREATE TABLE symbols (
    symbol text COLLATE "C" PRIMARY KEY,
    notional numeric NOT NULL,
    volume numeric NOT NULL,
    trades bigint NOT NULL,
    first_us bigint NOT NULL,
    last_us bigint NOT NULL
);

-- Candles, 1h from 5m and 1d from 1h. notional is the sum of price x size.
CREATE TABLE candles (
    symbol text COLLATE "C" NOT NULL,
    interval text COLLATE "C" NOT NULL,
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
    symbol text COLLATE "C" NOT NULL,
    interval text COLLATE "C" NOT NULL,
    start_us bigint NOT NULL,
    PRIMARY KEY (symbol, interval, start_us)
);
