// What is known of one instrument's market, from the messages of the feed alone.
import { decimalsOf, scaled } from "./format.js";

export const TAPE_ROWS = 200;
export const DECIMALS_MAX = 18; // of a tick
export const CHANNELS = ["book.l2", "trades", "bars.1m", "bars.1d", "status"];

export class Market {
  constructor(instrument) {
    this.symbol = instrument.symbol;
    this.decimals = decimalsOf(String(instrument.tick)); // of a price, when shown
    this.bids = new Map(); // price, a decimal string -> { price, key, quantity, orders }
    this.asks = new Map();
    this.trades = []; // oldest first, at most TAPE_ROWS
    this.minutes = new Map(); // start in seconds, ascending -> [start, open, ..., turnover]
    this.days = new Map();
    this.status = null;
    this.time = null; // of the newest message, in nanoseconds, a text
    this.numbers = new Map(); // channel -> number of its newest message
    this.touched = new Set(); // channels that have changed since they were drawn
    this.sorted = {};
  }

  /** Takes a snapshot or an update. False: an update is missing before it, and it is not taken. */
  take(message) {
    const { channel, number } = message;
    if (message.type === "update" && this.numbers.get(channel) !== message.prev) return false;
    const part = this[TAKERS[channel]];
    if (part === undefined) return true;
    part.call(this, message, message.type === "snapshot");
    this.numbers.set(channel, number);
    this.touched.add(channel);
    if (message.time) this.time = message.time;
    return true;
  }

  book(message, whole) {
    for (const side of ["bids", "asks"]) {
      const levels = this[side];
      if (whole) levels.clear();
      for (const [price, quantity, orders] of message[side] ?? []) {
        if (price === null) continue; // orders of a call that trade at any price
        const known = levels.get(price);
        this.decimals = Math.max(this.decimals, decimalsOf(price)); // the tick may have changed
        if (Number(quantity) === 0) levels.delete(price);
        else if (known) Object.assign(known, { quantity, orders });
        else levels.set(price, { price, key: scaled(price, DECIMALS_MAX), quantity, orders });
        if (!known || Number(quantity) === 0) this.sorted[side] = null;
      }
      if (whole) this.sorted[side] = null;
    }
  }

  /** The levels of "bids" or "asks", best first. */
  levels(side) {
    const sign = side === "bids" ? -1 : 1;
    const order = (one, other) => (one.key < other.key ? -sign : one.key > other.key ? sign : 0);
    this.sorted[side] ??= [...this[side].values()].sort(order);
    return this.sorted[side];
  }

  tape(message, whole) {
    // A snapshot after a gap goes on from what is there, if it overlaps with it.
    const known = new Set(whole ? this.trades.map((trade) => String(trade.id)) : []);
    const fresh = message.trades.filter((trade) => !known.has(String(trade.id)));
    if (whole && fresh.length === message.trades.length) this.trades = [];
    this.trades.push(...fresh);
    if (this.trades.length > TAPE_ROWS) this.trades.splice(0, this.trades.length - TAPE_ROWS);
  }

  minuteBars(message, whole) {
    bars(this.minutes, message, whole);
  }

  dayBars(message, whole) {
    bars(this.days, message, whole);
  }

  statistics(message) {
    this.status = message;
  }

  /** The last price, and what it is compared with: the reference price where there is one, else
      the last close, or the open of a first day. */
  get quote() {
    const closes = [...this.days.values()].map((day) => day[4]);
    const { last, open, reference } = this.status ?? {};
    if (!last) return { last: closes.pop(), base: null }; // nothing was traded today
    if (reference) return { last, base: reference, since: "reference" };
    return closes.length > 1
      ? { last, base: closes.at(-2), since: "close" }
      : { last, base: open, since: "open" };
  }
}

const TAKERS = {
  "book.l2": "book",
  trades: "tape",
  "bars.1m": "minuteBars",
  "bars.1d": "dayBars",
  status: "statistics",
};

function bars(known, message, whole) {
  if (whole) known.clear();
  for (const bar of message.bars ?? [message.bar]) known.set(Number(bar[0]), bar);
}
