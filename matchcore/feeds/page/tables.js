// What the canvases show, as tables that only a screen reader finds.
import { fixed, grouped, milliseconds, timeOf } from "./format.js";

const LEVELS = 5;
const TRADES = 10;

export function writeTables(market, { words, zone }, at) {
  const price = (text) => grouped(fixed(text, market.decimals));
  const levels = [["ask", "asks"], ["bid", "bids"]].flatMap(([word, side]) => {
    const best = market.levels(side).slice(0, LEVELS);
    return best.map((one) => [words[word], price(one.price), grouped(one.quantity), one.orders]);
  });
  fill(at("ladder-text"), words.ladder, ["", words.price, words.quantity, words.orders], levels);
  const trades = market.trades.slice(-TRADES).reverse().map((trade) => {
    const time = timeOf(milliseconds(trade.time), zone);
    return [time, words[trade.side] ?? "", price(trade.price), grouped(trade.quantity)];
  });
  fill(at("tape-text"), words.tape, [words.time, "", words.price, words.quantity], trades);
  const [bid] = market.levels("bids");
  const [ask] = market.levels("asks");
  const said = [
    bid ? `${words.bid} ${price(bid.price)}` : words.empty,
    ask ? `${words.ask} ${price(ask.price)}` : words.empty,
  ].join(", ");
  at("ladder").setAttribute("aria-label", `${words.ladder}: ${said}`);
  at("depth").setAttribute("aria-label", `${words.depth}: ${said}`);
  at("candles").setAttribute("aria-label", `${words.chart}: ${at("bar").textContent}`);
}

function fill(table, caption, heads, rows) {
  const make = (kind, text) => Object.assign(document.createElement(kind), { textContent: text });
  const row = (kind, cells) => {
    const line = make("tr", "");
    line.append(...cells.map((cell) => make(kind, cell)));
    return line;
  };
  const lines = rows.map((cells) => row("td", cells));
  table.replaceChildren(make("caption", caption), row("th", heads), ...lines);
}
