CREATE TABLE busts (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	trade_id BIGINT NOT NULL,
	instrument INTEGER NOT NULL,
	instrument_seq BIGINT NOT NULL,
	price_ticks BIGINT NOT NULL,
	quantity BIGINT NOT NULL,
	time_ns BIGINT NOT NULL,
	PRIMARY KEY (shard, seq)
);
CREATE INDEX busts_trade_id ON busts (trade_id);
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
	PRIMARY KEY (shard, seq, instrument)
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
CREATE TABLE indicatives (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	n INTEGER NOT NULL,
	instrument INTEGER NOT NULL,
	instrument_seq BIGINT NOT NULL,
	price_ticks BIGINT NOT NULL,
	quantity BIGINT NOT NULL,
	imbalance BIGINT NOT NULL,
	time_ns BIGINT NOT NULL,
	PRIMARY KEY (shard, seq, n)
);
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
CREATE TABLE market_parameters (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	instrument INTEGER NOT NULL,
	instrument_seq BIGINT NOT NULL,
	parameter SMALLINT NOT NULL,
	place SMALLINT NOT NULL,
	value1 BIGINT NOT NULL,
	value2 BIGINT NOT NULL,
	value3 BIGINT NOT NULL,
	value4 BIGINT NOT NULL,
	value5 BIGINT NOT NULL,
	value6 BIGINT NOT NULL,
	value7 BIGINT NOT NULL,
	value8 BIGINT NOT NULL,
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
	stop_ticks BIGINT NOT NULL,
	display_quantity BIGINT NOT NULL,
	expiry_ns BIGINT NOT NULL,
	triggered_seq BIGINT NOT NULL,
	PRIMARY KEY (shard, seq, side)
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
	stop_ticks BIGINT NOT NULL,
	display_quantity BIGINT NOT NULL,
	expiry_ns BIGINT NOT NULL,
	triggered_seq BIGINT NOT NULL,
	PRIMARY KEY (shard, seq, side)
);
CREATE INDEX orders_order_id ON orders (order_id);
CREATE TABLE phase_changes (
	shard INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	n INTEGER NOT NULL,
	instrument INTEGER NOT NULL,
	instrument_seq BIGINT NOT NULL,
	phase SMALLINT NOT NULL,
	former SMALLINT NOT NULL,
	price_ticks BIGINT NOT NULL,
	quantity BIGINT NOT NULL,
	reason SMALLINT NOT NULL,
	time_ns BIGINT NOT NULL,
	PRIMARY KEY (shard, seq, n)
);
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
