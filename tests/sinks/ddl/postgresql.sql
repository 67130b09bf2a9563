CREATE TABLE daily_bars (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	instrument INTEGER NOT NULL,
	instrument_seq BIGINT NOT NULL,
	day INTEGER NOT NULL,
	open_ticks BIGINT NOT NULL,
	high_ticks BIGINT NOT NULL,
	low_ticks BIGINT NOT NULL,
	close_ticks BIGINT NOT NULL,
	volume BIGINT NOT NULL,
	volume_wraps INTEGER NOT NULL,
	trades BIGINT NOT NULL,
	PRIMARY KEY (shard, seq)
);
CREATE INDEX daily_bars_day_instrument ON daily_bars (day, instrument);
CREATE INDEX daily_bars_instrument_day ON daily_bars (instrument, day);
CREATE TABLE executions (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	n INTEGER NOT NULL,
	trade_id BIGINT NOT NULL,
	instrument INTEGER NOT NULL,
	instrument_seq BIGINT NOT NULL,
	account BIGINT NOT NULL,
	order_seq BIGINT NOT NULL,
	order_id BIGINT NOT NULL,
	client_order_id BIGINT NOT NULL,
	side SMALLINT NOT NULL,
	liquidity SMALLINT NOT NULL,
	price_ticks BIGINT NOT NULL,
	quantity BIGINT NOT NULL,
	open_quantity BIGINT NOT NULL,
	time_ns BIGINT NOT NULL,
	PRIMARY KEY (shard, seq, n)
);
CREATE INDEX executions_account_seq ON executions (account, seq);
CREATE TABLE instruments (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	number INTEGER NOT NULL,
	symbol VARCHAR(24) NOT NULL,
	tick_mantissa BIGINT NOT NULL,
	tick_exponent SMALLINT NOT NULL,
	lot BIGINT NOT NULL,
	max_quantity BIGINT NOT NULL,
	max_orders BIGINT NOT NULL,
	time_ns BIGINT NOT NULL,
	PRIMARY KEY (shard, seq)
);
CREATE TABLE open_orders (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	instrument INTEGER NOT NULL,
	instrument_seq BIGINT NOT NULL,
	order_id BIGINT NOT NULL,
	client_order_id BIGINT NOT NULL,
	account BIGINT NOT NULL,
	side SMALLINT NOT NULL,
	order_type SMALLINT NOT NULL,
	time_in_force SMALLINT NOT NULL,
	flags SMALLINT NOT NULL,
	price_ticks BIGINT NOT NULL,
	quantity BIGINT NOT NULL,
	filled BIGINT NOT NULL,
	filled_wraps INTEGER NOT NULL,
	open_quantity BIGINT NOT NULL,
	status SMALLINT NOT NULL,
	reason SMALLINT NOT NULL,
	accepted_ns BIGINT NOT NULL,
	changed_ns BIGINT NOT NULL,
	changed_seq BIGINT NOT NULL,
	PRIMARY KEY (shard, seq)
);
CREATE INDEX open_orders_account ON open_orders (account);
CREATE TABLE orders (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	instrument INTEGER NOT NULL,
	instrument_seq BIGINT NOT NULL,
	order_id BIGINT NOT NULL,
	client_order_id BIGINT NOT NULL,
	account BIGINT NOT NULL,
	side SMALLINT NOT NULL,
	order_type SMALLINT NOT NULL,
	time_in_force SMALLINT NOT NULL,
	flags SMALLINT NOT NULL,
	price_ticks BIGINT NOT NULL,
	quantity BIGINT NOT NULL,
	filled BIGINT NOT NULL,
	filled_wraps INTEGER NOT NULL,
	open_quantity BIGINT NOT NULL,
	status SMALLINT NOT NULL,
	reason SMALLINT NOT NULL,
	accepted_ns BIGINT NOT NULL,
	changed_ns BIGINT NOT NULL,
	changed_seq BIGINT NOT NULL,
	PRIMARY KEY (shard, seq)
);
CREATE INDEX orders_order_id ON orders (order_id);
CREATE TABLE phases (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	kind SMALLINT NOT NULL,
	instrument INTEGER NOT NULL,
	orders BIGINT NOT NULL,
	time_ns BIGINT NOT NULL,
	PRIMARY KEY (shard, seq)
);
CREATE TABLE positions (
	shard INTEGER NOT NULL,
	exchange BYTEA NOT NULL,
	version INTEGER NOT NULL,
	epoch BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	PRIMARY KEY (shard)
);
CREATE TABLE trades (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	n INTEGER NOT NULL,
	trade_id BIGINT NOT NULL,
	instrument INTEGER NOT NULL,
	instrument_seq BIGINT NOT NULL,
	price_ticks BIGINT NOT NULL,
	quantity BIGINT NOT NULL,
	aggressor SMALLINT NOT NULL,
	maker_seq BIGINT NOT NULL,
	maker_order_id BIGINT NOT NULL,
	maker_account BIGINT NOT NULL,
	taker_seq BIGINT NOT NULL,
	taker_order_id BIGINT NOT NULL,
	taker_account BIGINT NOT NULL,
	time_ns BIGINT NOT NULL,
	PRIMARY KEY (shard, seq, n)
);
CREATE INDEX trades_instrument_time_ns ON trades (instrument, time_ns);
