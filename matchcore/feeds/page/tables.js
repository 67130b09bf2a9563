// What the canvases show, as tables that only a screen reader finds.
import { fixed, grouped, milliseconds, timeOf } from "./format.js";

const LEVELS = 5;
const TRADES = 10;

export function writeTables(market, { words, zone }, at) {
  const price = (text) => grouped(fixed(text, market.decimals));
  const levels = [["ask", "asks"], ["bid", "bids"]].flatMap(([word, side]) =>
    market.levels(side).slice(0, LEVELS).map((level) =>
      [words[word], price(level.price), grouped(level.quantity), String(level.orders)]));
  fill(at("ladder-text"), words.ladder, ["", words.price, words.quantity, words.orders], levels);
  const trades = market.trades.slice(-TRADES).reverse().map((trade) =>
    [timeOf(milliseconds(trade.time), zone), words[trade.side], price(trade.price), grouped(trade.quantity)]);
  fill(at("tape-text"), words.tape, [words.time, "", words.price, words.quantity], trades);
  const [bid] = market.levels("bids");
  const [ask] = market.levels("asks");
  const best = [bid && `${words.bid} ${price(bid.price)}`, ask && `${words.ask} ${price(ask.price)}`];
  const said = best.filter(Boolean).join(", ");
  at("ladder").setAttribute("aria-label", `${words.ladder}: ${said}`);
  at("depth").setAttribute("aria-label", `${words.depth}: ${said}`);
  at("candles").setAttribute("aria-label", `${words.chart}: ${at("bar").textContent}`);
}

function fill(table, caption, heads, rows) {
  const row = (kind, cells) => {
    const line = document.createElement("tr");
    for (const cell of cells) line.append(Object.assign(document.createElement(kind), { textContent: cell }));
    return line;
  };
  const title = Object.assign(document.createElement("caption"), { textContent: caption });
  table.replaceChildren(title, row("th", heads), ...rows.map((cells) => row("td", cells)));
}
