// The trades, newest first: a canvas over a scrolled space, of which it draws what is seen.
import { Surface } from "./canvas.js";
import { fixed, grouped, milliseconds, short, timeOf } from "./format.js";

const ROW = 20;
const HEAD = 24;

export class Tape {
  constructor(canvas, redraw) {
    this.surface = new Surface(canvas, redraw);
    this.scroller = canvas.parentElement;
    this.space = canvas.nextElementSibling;
    this.scroller.addEventListener("scroll", redraw, { passive: true });
    this.newest = null;
  }

  draw(market, { words, colours, language, zone }) {
    const { surface, scroller } = this;
    const { trades } = market;
    this.hold(trades);
    this.space.style.height = `${Math.max(0, trades.length * ROW + HEAD - surface.height)}px`;
    const context = surface.clear();
    const top = scroller.scrollTop;
    const first = Math.floor(top / ROW);
    const count = Math.ceil(surface.height / ROW) + 1;
    const edge = surface.width - 10;
    for (let row = first; row < Math.min(first + count, trades.length); row++) {
      const trade = trades[trades.length - 1 - row];
      const y = HEAD + row * ROW - top + ROW / 2;
      const bought = trade.side === "buy";
      const ink = !trade.side ? colours.text : bought ? colours.up : colours.down;
      if (row % 2) {
        context.fillStyle = colours.back;
        context.fillRect(0, y - ROW / 2, surface.width, ROW);
      }
      const time = timeOf(milliseconds(trade.time), zone, surface.width > 290);
      surface.text(time, 10, y, colours.dim, "left");
      surface.text(grouped(fixed(trade.price, market.decimals)), edge * 0.66, y, ink);
      surface.text(short(trade.quantity, language), edge - 16, y, colours.text);
      if (trade.side) triangle(context, edge - 4, y, bought, ink); // an auction has no aggressor
    }
    context.fillStyle = colours.panel;
    context.fillRect(0, 0, surface.width, HEAD);
    surface.text(words.time, 10, HEAD / 2, colours.dim, "left");
    surface.text(words.price, edge * 0.66, HEAD / 2, colours.dim);
    surface.text(words.quantity, edge - 16, HEAD / 2, colours.dim);
    if (!trades.length) {
      surface.text(words.noTrades, surface.width / 2, surface.height / 2, colours.dim, "center");
    }
  }

  /** Who has scrolled back keeps the rows that he reads. */
  hold(trades) {
    const at = trades.lastIndexOf(this.newest);
    const added = trades.length - 1 - at;
    if (at >= 0 && added && this.scroller.scrollTop > 0) this.scroller.scrollTop += added * ROW;
    this.newest = trades[trades.length - 1];
  }
}

/** The side not by colour alone: up for a buy, down for a sell. */
function triangle(context, x, y, up, ink) {
  const tip = up ? -4 : 4;
  context.fillStyle = ink;
  context.beginPath();
  context.moveTo(x - 4, y - tip / 2);
  context.lineTo(x + 4, y - tip / 2);
  context.lineTo(x, y + tip);
  context.fill();
}
