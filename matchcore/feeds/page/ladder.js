// The order book as a price ladder: asks above, bids below, the best ones in the middle.
import { Surface } from "./canvas.js";
import { fixed, grouped, short, unscaled } from "./format.js";
import { DECIMALS_MAX } from "./market.js";

const ROW = { least: 20, most: 44 };
const ROWS_LEAST = 10; // of a side, so that a thin book does not jump
const HEAD = 24;
const MIDDLE = 26; // the row of the spread
const FLASH_MS = 400;

export class Ladder {
  constructor(canvas, redraw) {
    this.surface = new Surface(canvas, redraw);
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.clear();
  }

  clear() {
    this.most = 0; // rows so far
    this.seen = new Map(); // side and price -> quantity when drawn
    this.flashes = new Map(); // side and price -> when it changed
  }

  /** Draws; true while a flash fades, so that the next frame must draw again. */
  draw(market, view) {
    const { surface } = this;
    const { words, colours } = view;
    const context = surface.clear();
    const { rows, height } = this.rows(market);
    const asks = market.levels("asks").slice(0, rows);
    const bids = market.levels("bids").slice(0, rows);
    const most = Math.max(1, ...[...asks, ...bids].map((level) => Number(level.quantity)));
    const middle = HEAD + rows * height;
    const columns = this.columns();
    const frame = { market, view, context, most, height, now: performance.now(), columns };
    this.heads(frame);
    for (const [key, since] of this.flashes) {
      if (frame.now - since >= FLASH_MS) this.flashes.delete(key);
    }
    const drawn = new Map();
    for (const [at, level] of asks.entries()) {
      this.row(frame, "asks", level, middle - (at + 1) * height, drawn);
    }
    for (const [at, level] of bids.entries()) {
      this.row(frame, "bids", level, middle + MIDDLE + at * height, drawn);
    }
    this.seen = drawn;
    context.fillStyle = colours.edge;
    context.fillRect(0, middle + 1, surface.width, 1);
    context.fillRect(0, middle + MIDDLE - 2, surface.width, 1);
    this.spread(frame, asks[0], bids[0], middle + MIDDLE / 2);
    if (!asks.length && !bids.length) {
      surface.text(words.empty, surface.width / 2, middle - height, colours.dim, "center");
    }
    return this.flashes.size > 0;
  }

  /** How many rows a side has, and how high they are: they fill the canvas. */
  rows(market) {
    const room = Math.max(0, this.surface.height - HEAD - MIDDLE) / 2;
    const levels = Math.max(market.bids.size, market.asks.size, this.most, ROWS_LEAST);
    const rows = Math.max(1, Math.min(levels, Math.floor(room / ROW.least)));
    this.most = Math.max(this.most, rows);
    return { rows, height: Math.min(ROW.most, Math.floor(room / rows)) };
  }

  /** Right edges of the columns: orders, bid quantity, price, ask quantity, orders. */
  columns() {
    const { width } = this.surface;
    const [orders, price] = [width * 0.13, width * 0.26];
    const quantity = (width - 2 * orders - price) / 2;
    return { orders, price, quantity, left: orders + quantity, right: orders + quantity + price };
  }

  heads({ view: { words, colours }, columns }) {
    const { surface } = this;
    const y = HEAD / 2;
    surface.text(words.orders, 8, y, colours.dim, "left");
    surface.text(words.bid, columns.left - 8, y, colours.dim);
    surface.text(words.price, surface.width / 2, y, colours.dim, "center");
    surface.text(words.ask, columns.right + 8, y, colours.dim, "left");
    surface.text(words.orders, surface.width - 8, y, colours.dim);
  }

  row({ market, view, context, most, height, now, columns }, side, level, y, drawn) {
    const { colours, language } = view;
    const { surface } = this;
    const buys = side === "bids";
    const ink = buys ? colours.up : colours.down;
    const bar = Math.max(1, (Number(level.quantity) / most) * columns.quantity);
    const key = side + level.price;
    context.fillStyle = buys ? colours["up-soft"] : colours["down-soft"];
    context.fillRect(buys ? columns.left - bar : columns.right, y + 1, bar, height - 2);
    drawn.set(key, level.quantity);
    if (this.fades(key, level.quantity, now)) {
      context.globalAlpha = 1 - (now - this.flashes.get(key)) / FLASH_MS;
      context.fillStyle = colours.flash;
      context.fillRect(buys ? columns.orders : columns.right, y, columns.quantity, height);
      context.globalAlpha = 1;
    }
    const at = y + height / 2;
    const last = market.status?.last === level.price;
    if (last) {
      context.strokeStyle = ink;
      context.strokeRect(columns.left + 3.5, y + 1.5, columns.price - 7, height - 3);
    }
    const price = grouped(fixed(level.price, market.decimals));
    surface.text(price, surface.width / 2, at, ink, "center");
    const quantity = short(level.quantity, language);
    if (buys) {
      surface.text(quantity, columns.left - 8, at, colours.text);
      surface.text(String(level.orders), 8, at, colours.dim, "left");
    } else {
      surface.text(quantity, columns.right + 8, at, colours.text, "left");
      surface.text(String(level.orders), surface.width - 8, at, colours.dim);
    }
  }

  /** Whether a level has changed a moment ago. */
  fades(key, quantity, now) {
    const before = this.seen.get(key);
    if (this.seen.size && before !== quantity && !this.still.matches) this.flashes.set(key, now);
    return this.flashes.has(key);
  }

  spread({ market, view: { words, colours } }, ask, bid, y) {
    if (!ask || !bid) return;
    const text = fixed(unscaled(ask.key - bid.key, DECIMALS_MAX), market.decimals);
    this.surface.text(`${words.spread} ${text}`, this.surface.width / 2, y, colours.dim, "center");
  }
}
