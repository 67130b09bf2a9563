CREATE VIEW trades_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.n AS n,
	t.trade_id AS trade_id,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	t.price_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS price,
	t.price_ticks AS price_ticks,
	t.quantity AS quantity,
	CASE t.aggressor WHEN 0 THEN 'nobody' WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS aggressor,
	t.maker_seq AS maker_seq,
	t.maker_order_id AS maker_order_id,
	t.maker_account AS maker_account,
	t.taker_seq AS taker_seq,
	t.taker_order_id AS taker_order_id,
	t.taker_account AS taker_account,
	date((t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') AS day,
	strftime('%Y-%m-%d %H:%M:%S', (t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.time_ns % 1000000000 + 1000000000) % 1000000000) AS time_utc,
	t.time_ns AS time_ns,
	(SELECT MIN(b.seq) FROM busts b WHERE b.shard = t.shard AND b.trade_id = t.trade_id AND b.instrument = t.instrument) AS busted_seq
FROM trades t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
CREATE VIEW executions_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.n AS n,
	t.trade_id AS trade_id,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	t.account AS account,
	t.order_seq AS order_seq,
	t.order_id AS order_id,
	t.client_order_id AS client_order_id,
	CASE t.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side,
	CASE t.liquidity WHEN 1 THEN 'maker' WHEN 2 THEN 'taker' WHEN 3 THEN 'auction' END AS liquidity,
	t.price_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS price,
	t.price_ticks AS price_ticks,
	t.quantity AS quantity,
	t.open_quantity AS open_quantity,
	date((t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') AS day,
	strftime('%Y-%m-%d %H:%M:%S', (t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.time_ns % 1000000000 + 1000000000) % 1000000000) AS time_utc,
	t.time_ns AS time_ns,
	(SELECT MIN(b.seq) FROM busts b WHERE b.shard = t.shard AND b.trade_id = t.trade_id AND b.instrument = t.instrument) AS busted_seq
FROM executions t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
CREATE VIEW open_orders_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	t.order_id AS order_id,
	t.client_order_id AS client_order_id,
	t.account AS account,
	CASE t.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side,
	CASE t.order_type WHEN 1 THEN 'limit' WHEN 2 THEN 'market' WHEN 3 THEN 'market to limit' WHEN 4 THEN 'stop' WHEN 5 THEN 'stop limit' WHEN 6 THEN 'trailing stop' WHEN 7 THEN 'peg primary' WHEN 8 THEN 'peg market' WHEN 9 THEN 'peg midpoint' WHEN 10 THEN 'best five' WHEN 11 THEN 'best five limit' WHEN 12 THEN 'own best' WHEN 13 THEN 'counterparty best' END AS order_type,
	CASE t.time_in_force WHEN 1 THEN 'gtc' WHEN 2 THEN 'day' WHEN 3 THEN 'ioc' WHEN 4 THEN 'fok' WHEN 5 THEN 'gtd' WHEN 6 THEN 'at open' WHEN 7 THEN 'at close' WHEN 8 THEN 'auction' END AS time_in_force,
	t.flags AS flags,
	t.price_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS price,
	t.price_ticks AS price_ticks,
	t.quantity AS quantity,
	CASE t.filled_wraps WHEN 0 THEN t.filled ELSE t.filled + t.filled_wraps * 9223372036854775808.0 END AS filled,
	t.open_quantity AS open_quantity,
	CASE t.status WHEN 0 THEN 'open' WHEN 1 THEN 'filled' WHEN 2 THEN 'cancelled' END AS status,
	CASE t.reason WHEN 0 THEN 'none' WHEN 32 THEN 'requested' WHEN 33 THEN 'immediate or cancel' WHEN 34 THEN 'fill or kill' WHEN 35 THEN 'market remainder' WHEN 36 THEN 'reduced to nothing' WHEN 37 THEN 'mass cancel' WHEN 38 THEN 'end of day' WHEN 39 THEN 'kill switch' WHEN 40 THEN 'expired' WHEN 41 THEN 'self trade' WHEN 42 THEN 'one cancels other' WHEN 43 THEN 'quote replaced' WHEN 44 THEN 'protection' WHEN 45 THEN 'minimum not met' WHEN 46 THEN 'reference gone' WHEN 47 THEN 'auction over' WHEN 48 THEN 'amended to filled' WHEN 49 THEN 'levels taken' WHEN 50 THEN 'no opposite' WHEN 51 THEN 'phase' WHEN 52 THEN 'volatility' END AS reason,
	strftime('%Y-%m-%d %H:%M:%S', (t.accepted_ns / 1000000000 - (t.accepted_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.accepted_ns % 1000000000 + 1000000000) % 1000000000) AS accepted_utc,
	t.accepted_ns AS accepted_ns,
	strftime('%Y-%m-%d %H:%M:%S', (t.changed_ns / 1000000000 - (t.changed_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.changed_ns % 1000000000 + 1000000000) % 1000000000) AS changed_utc,
	t.changed_ns AS changed_ns,
	t.changed_seq AS changed_seq,
	t.stop_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS stop,
	t.stop_ticks AS stop_ticks,
	t.display_quantity AS display_quantity,
	CASE WHEN t.expiry_ns > 0 THEN strftime('%Y-%m-%d %H:%M:%S', (t.expiry_ns / 1000000000 - (t.expiry_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.expiry_ns % 1000000000 + 1000000000) % 1000000000) END AS expiry_utc,
	t.expiry_ns AS expiry_ns,
	t.triggered_seq AS triggered_seq
FROM open_orders t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
CREATE VIEW orders_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	t.order_id AS order_id,
	t.client_order_id AS client_order_id,
	t.account AS account,
	CASE t.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side,
	CASE t.order_type WHEN 1 THEN 'limit' WHEN 2 THEN 'market' WHEN 3 THEN 'market to limit' WHEN 4 THEN 'stop' WHEN 5 THEN 'stop limit' WHEN 6 THEN 'trailing stop' WHEN 7 THEN 'peg primary' WHEN 8 THEN 'peg market' WHEN 9 THEN 'peg midpoint' WHEN 10 THEN 'best five' WHEN 11 THEN 'best five limit' WHEN 12 THEN 'own best' WHEN 13 THEN 'counterparty best' END AS order_type,
	CASE t.time_in_force WHEN 1 THEN 'gtc' WHEN 2 THEN 'day' WHEN 3 THEN 'ioc' WHEN 4 THEN 'fok' WHEN 5 THEN 'gtd' WHEN 6 THEN 'at open' WHEN 7 THEN 'at close' WHEN 8 THEN 'auction' END AS time_in_force,
	t.flags AS flags,
	t.price_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS price,
	t.price_ticks AS price_ticks,
	t.quantity AS quantity,
	CASE t.filled_wraps WHEN 0 THEN t.filled ELSE t.filled + t.filled_wraps * 9223372036854775808.0 END AS filled,
	t.open_quantity AS open_quantity,
	CASE t.status WHEN 0 THEN 'open' WHEN 1 THEN 'filled' WHEN 2 THEN 'cancelled' END AS status,
	CASE t.reason WHEN 0 THEN 'none' WHEN 32 THEN 'requested' WHEN 33 THEN 'immediate or cancel' WHEN 34 THEN 'fill or kill' WHEN 35 THEN 'market remainder' WHEN 36 THEN 'reduced to nothing' WHEN 37 THEN 'mass cancel' WHEN 38 THEN 'end of day' WHEN 39 THEN 'kill switch' WHEN 40 THEN 'expired' WHEN 41 THEN 'self trade' WHEN 42 THEN 'one cancels other' WHEN 43 THEN 'quote replaced' WHEN 44 THEN 'protection' WHEN 45 THEN 'minimum not met' WHEN 46 THEN 'reference gone' WHEN 47 THEN 'auction over' WHEN 48 THEN 'amended to filled' WHEN 49 THEN 'levels taken' WHEN 50 THEN 'no opposite' WHEN 51 THEN 'phase' WHEN 52 THEN 'volatility' END AS reason,
	strftime('%Y-%m-%d %H:%M:%S', (t.accepted_ns / 1000000000 - (t.accepted_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.accepted_ns % 1000000000 + 1000000000) % 1000000000) AS accepted_utc,
	t.accepted_ns AS accepted_ns,
	strftime('%Y-%m-%d %H:%M:%S', (t.changed_ns / 1000000000 - (t.changed_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.changed_ns % 1000000000 + 1000000000) % 1000000000) AS changed_utc,
	t.changed_ns AS changed_ns,
	t.changed_seq AS changed_seq,
	t.stop_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS stop,
	t.stop_ticks AS stop_ticks,
	t.display_quantity AS display_quantity,
	CASE WHEN t.expiry_ns > 0 THEN strftime('%Y-%m-%d %H:%M:%S', (t.expiry_ns / 1000000000 - (t.expiry_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.expiry_ns % 1000000000 + 1000000000) % 1000000000) END AS expiry_utc,
	t.expiry_ns AS expiry_ns,
	t.triggered_seq AS triggered_seq
FROM orders t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument
UNION ALL
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	t.order_id AS order_id,
	t.client_order_id AS client_order_id,
	t.account AS account,
	CASE t.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side,
	CASE t.order_type WHEN 1 THEN 'limit' WHEN 2 THEN 'market' WHEN 3 THEN 'market to limit' WHEN 4 THEN 'stop' WHEN 5 THEN 'stop limit' WHEN 6 THEN 'trailing stop' WHEN 7 THEN 'peg primary' WHEN 8 THEN 'peg market' WHEN 9 THEN 'peg midpoint' WHEN 10 THEN 'best five' WHEN 11 THEN 'best five limit' WHEN 12 THEN 'own best' WHEN 13 THEN 'counterparty best' END AS order_type,
	CASE t.time_in_force WHEN 1 THEN 'gtc' WHEN 2 THEN 'day' WHEN 3 THEN 'ioc' WHEN 4 THEN 'fok' WHEN 5 THEN 'gtd' WHEN 6 THEN 'at open' WHEN 7 THEN 'at close' WHEN 8 THEN 'auction' END AS time_in_force,
	t.flags AS flags,
	t.price_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS price,
	t.price_ticks AS price_ticks,
	t.quantity AS quantity,
	CASE t.filled_wraps WHEN 0 THEN t.filled ELSE t.filled + t.filled_wraps * 9223372036854775808.0 END AS filled,
	t.open_quantity AS open_quantity,
	CASE t.status WHEN 0 THEN 'open' WHEN 1 THEN 'filled' WHEN 2 THEN 'cancelled' END AS status,
	CASE t.reason WHEN 0 THEN 'none' WHEN 32 THEN 'requested' WHEN 33 THEN 'immediate or cancel' WHEN 34 THEN 'fill or kill' WHEN 35 THEN 'market remainder' WHEN 36 THEN 'reduced to nothing' WHEN 37 THEN 'mass cancel' WHEN 38 THEN 'end of day' WHEN 39 THEN 'kill switch' WHEN 40 THEN 'expired' WHEN 41 THEN 'self trade' WHEN 42 THEN 'one cancels other' WHEN 43 THEN 'quote replaced' WHEN 44 THEN 'protection' WHEN 45 THEN 'minimum not met' WHEN 46 THEN 'reference gone' WHEN 47 THEN 'auction over' WHEN 48 THEN 'amended to filled' WHEN 49 THEN 'levels taken' WHEN 50 THEN 'no opposite' WHEN 51 THEN 'phase' WHEN 52 THEN 'volatility' END AS reason,
	strftime('%Y-%m-%d %H:%M:%S', (t.accepted_ns / 1000000000 - (t.accepted_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.accepted_ns % 1000000000 + 1000000000) % 1000000000) AS accepted_utc,
	t.accepted_ns AS accepted_ns,
	strftime('%Y-%m-%d %H:%M:%S', (t.changed_ns / 1000000000 - (t.changed_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.changed_ns % 1000000000 + 1000000000) % 1000000000) AS changed_utc,
	t.changed_ns AS changed_ns,
	t.changed_seq AS changed_seq,
	t.stop_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS stop,
	t.stop_ticks AS stop_ticks,
	t.display_quantity AS display_quantity,
	CASE WHEN t.expiry_ns > 0 THEN strftime('%Y-%m-%d %H:%M:%S', (t.expiry_ns / 1000000000 - (t.expiry_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.expiry_ns % 1000000000 + 1000000000) % 1000000000) END AS expiry_utc,
	t.expiry_ns AS expiry_ns,
	t.triggered_seq AS triggered_seq
FROM open_orders t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
CREATE VIEW phase_changes_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.n AS n,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	CASE t.phase WHEN 1 THEN 'pre open' WHEN 2 THEN 'opening call' WHEN 3 THEN 'opening call locked' WHEN 4 THEN 'quiet' WHEN 5 THEN 'continuous' WHEN 6 THEN 'break' WHEN 7 THEN 'closing call' WHEN 8 THEN 'at closing price' WHEN 9 THEN 'closed' WHEN 10 THEN 'volatility call' WHEN 11 THEN 'cancel only' WHEN 12 THEN 'halted' END AS phase,
	CASE t.former WHEN 1 THEN 'pre open' WHEN 2 THEN 'opening call' WHEN 3 THEN 'opening call locked' WHEN 4 THEN 'quiet' WHEN 5 THEN 'continuous' WHEN 6 THEN 'break' WHEN 7 THEN 'closing call' WHEN 8 THEN 'at closing price' WHEN 9 THEN 'closed' WHEN 10 THEN 'volatility call' WHEN 11 THEN 'cancel only' WHEN 12 THEN 'halted' END AS former,
	t.price_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS price,
	t.price_ticks AS price_ticks,
	t.quantity AS quantity,
	CASE t.reason WHEN 0 THEN 'none' WHEN 32 THEN 'requested' WHEN 33 THEN 'immediate or cancel' WHEN 34 THEN 'fill or kill' WHEN 35 THEN 'market remainder' WHEN 36 THEN 'reduced to nothing' WHEN 37 THEN 'mass cancel' WHEN 38 THEN 'end of day' WHEN 39 THEN 'kill switch' WHEN 40 THEN 'expired' WHEN 41 THEN 'self trade' WHEN 42 THEN 'one cancels other' WHEN 43 THEN 'quote replaced' WHEN 44 THEN 'protection' WHEN 45 THEN 'minimum not met' WHEN 46 THEN 'reference gone' WHEN 47 THEN 'auction over' WHEN 48 THEN 'amended to filled' WHEN 49 THEN 'levels taken' WHEN 50 THEN 'no opposite' WHEN 51 THEN 'phase' WHEN 52 THEN 'volatility' END AS reason,
	date((t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') AS day,
	strftime('%Y-%m-%d %H:%M:%S', (t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.time_ns % 1000000000 + 1000000000) % 1000000000) AS time_utc,
	t.time_ns AS time_ns
FROM phase_changes t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
CREATE VIEW indicatives_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.n AS n,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	t.price_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS price,
	t.price_ticks AS price_ticks,
	t.quantity AS quantity,
	t.imbalance AS imbalance,
	date((t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') AS day,
	strftime('%Y-%m-%d %H:%M:%S', (t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.time_ns % 1000000000 + 1000000000) % 1000000000) AS time_utc,
	t.time_ns AS time_ns
FROM indicatives t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
CREATE VIEW busts_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.trade_id AS trade_id,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	t.price_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS price,
	t.price_ticks AS price_ticks,
	t.quantity AS quantity,
	date((t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') AS day,
	strftime('%Y-%m-%d %H:%M:%S', (t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.time_ns % 1000000000 + 1000000000) % 1000000000) AS time_utc,
	t.time_ns AS time_ns
FROM busts t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
CREATE VIEW market_parameters_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	CASE t.parameter WHEN 1 THEN 'trading' WHEN 2 THEN 'allocation' WHEN 3 THEN 'auction' WHEN 4 THEN 'quantities' WHEN 5 THEN 'limits' WHEN 6 THEN 'cage' WHEN 7 THEN 'volatility' WHEN 8 THEN 'halts' WHEN 9 THEN 'day' WHEN 10 THEN 'ticks' WHEN 11 THEN 'closing' END AS parameter,
	t.place AS place,
	t.value1 AS value1,
	t.value2 AS value2,
	t.value3 AS value3,
	t.value4 AS value4,
	t.value5 AS value5,
	t.value6 AS value6,
	t.value7 AS value7,
	t.value8 AS value8,
	date((t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') AS day,
	strftime('%Y-%m-%d %H:%M:%S', (t.time_ns / 1000000000 - (t.time_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.time_ns % 1000000000 + 1000000000) % 1000000000) AS time_utc,
	t.time_ns AS time_ns
FROM market_parameters t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
CREATE VIEW daily_bars_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.seq AS seq,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	date(t.day * 86400, 'unixepoch') AS day,
	t.open_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS open,
	t.open_ticks AS open_ticks,
	t.high_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS high,
	t.high_ticks AS high_ticks,
	t.low_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS low,
	t.low_ticks AS low_ticks,
	t.close_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS close,
	t.close_ticks AS close_ticks,
	CASE t.volume_wraps WHEN 0 THEN t.volume ELSE t.volume + t.volume_wraps * 9223372036854775808.0 END AS volume,
	t.trades AS trades
FROM daily_bars t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
CREATE VIEW minute_bars_view AS
SELECT
	i.symbol AS symbol,
	t.shard AS shard,
	t.instrument AS instrument,
	t.instrument_seq AS instrument_seq,
	date((t.start_ns / 1000000000 - (t.start_ns % 1000000000 < 0)), 'unixepoch') AS day,
	strftime('%Y-%m-%d %H:%M:%S', (t.start_ns / 1000000000 - (t.start_ns % 1000000000 < 0)), 'unixepoch') || printf('.%09d', (t.start_ns % 1000000000 + 1000000000) % 1000000000) AS start_utc,
	t.start_ns AS start_ns,
	t.open_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS open,
	t.open_ticks AS open_ticks,
	t.high_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS high,
	t.high_ticks AS high_ticks,
	t.low_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS low,
	t.low_ticks AS low_ticks,
	t.close_ticks * i.tick_mantissa / CAST('1e' || -i.tick_exponent AS REAL) AS close,
	t.close_ticks AS close_ticks,
	CASE t.volume_wraps WHEN 0 THEN t.volume ELSE t.volume + t.volume_wraps * 9223372036854775808.0 END AS volume,
	t.trades AS trades
FROM (
SELECT b.shard AS shard, b.instrument AS instrument, b.instrument_seq AS instrument_seq, b.start_ns AS start_ns, f.price_ticks AS open_ticks, b.high_ticks AS high_ticks, b.low_ticks AS low_ticks, l.price_ticks AS close_ticks, CAST(((b.high + (b.low >> 32)) & 2147483647) * 4294967296 + (b.low & 4294967295) AS BIGINT) AS volume, CAST((b.high + (b.low >> 32)) >> 31 AS BIGINT) AS volume_wraps, b.trades AS trades
FROM (SELECT e.shard AS shard, e.instrument AS instrument, e.instrument_seq AS instrument_seq, e.start_ns AS start_ns, min(e.seq) AS first_seq, min(e.trade_id) AS first_id, max(e.seq) AS last_seq, max(e.trade_id) AS last_id, max(e.price_ticks) AS high_ticks, min(e.price_ticks) AS low_ticks, CAST(sum(e.quantity & 4294967295) AS BIGINT) AS low, CAST(sum(e.quantity >> 32) AS BIGINT) AS high, count(*) AS trades
FROM (SELECT trades.shard AS shard, trades.seq AS seq, trades.trade_id AS trade_id, trades.instrument AS instrument, trades.instrument_seq AS instrument_seq, trades.price_ticks AS price_ticks, trades.quantity AS quantity, CASE WHEN (trades.time_ns < -9223372020000000000) THEN -9223372036854775807 - 1 ELSE trades.time_ns - ((((trades.time_ns) % (60000000000)) + 60000000000) % (60000000000)) END AS start_ns
FROM trades) AS e GROUP BY e.shard, e.instrument, e.instrument_seq, e.start_ns) AS b JOIN trades AS f ON f.shard = b.shard AND f.seq = b.first_seq AND f.trade_id = b.first_id JOIN trades AS l ON l.shard = b.shard AND l.seq = b.last_seq AND l.trade_id = b.last_id
) t
JOIN instruments i ON i.shard = +t.shard AND i.seq = t.instrument_seq AND i.number = t.instrument;
