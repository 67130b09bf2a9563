// The page: binds the line, the market and what is drawn of it.
import { Candles } from "./candles.js";
import { Depth } from "./depth.js";
import { fixed, grouped, milliseconds, scaled, short, timeOf, unscaled } from "./format.js";
import { Ladder } from "./ladder.js";
import { Line } from "./line.js";
import { CHANNELS } from "./market.js";
import { Settings, palette } from "./settings.js";
import { Tape } from "./tape.js";
import { writeTables } from "./tables.js";
import { WORDS, translate } from "./words.js";

const SPOKEN_MS = 2000; // between two changes of what a screen reader finds
const STATISTICS = ["open", "high", "low", "volume", "turnover", "vwap", "trades", "day"];
const PRICES = new Set(["open", "high", "low", "reference", "indicative"]);
const LONG = { wide: 13, narrow: 9 }; // characters; longer figures are shortened

const at = (id) => document.getElementById(id);
const put = (id, text) => {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text;
};

const settings = new Settings(restyle);
const url = new URL("ws", location.href);
url.protocol = url.protocol.replace("http", "ws");
url.search = url.hash = "";
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const line = new Line(url, token, heard);
const candles = new Candles(at("candles"), at("bar"));
const depth = new Depth(at("depth"), at("point"));
const ladder = new Ladder(at("ladder"), () => line.market?.touched.add("book.l2"));
const tape = new Tape(at("tape"), () => line.market?.touched.add("trades"));
let view = {};
let restyled = true;
let listed = true; // the instruments that there are
let spoken = true; // what was drawn last
let drawn = 0; // frames in which something was drawn

function restyle() {
  translate(settings.lang);
  const words = WORDS[settings.lang];
  settings.bind(words);
  view = { words, colours: palette(), language: settings.lang, zone: settings.zone };
  candles.style(view);
  restyled = true;
  showState();
}

function heard(what) {
  if (what === "state") showState();
  else if (what === "instruments") listed = false;
  else if (what === "market") {
    ladder.clear();
    restyled = true;
  }
}

function showState() {
  if (!view.words) return;
  at("line").dataset.state = line.state;
  document.body.dataset.line = line.state;
  at("line").title = line.reason;
  put("state", view.words[line.state]);
}

function listInstruments() {
  listed = true;
  const symbols = [...line.instruments.keys()];
  const select = at("symbol");
  const there = [...select.options].map((option) => option.value);
  if (symbols.join() !== there.join()) {
    select.replaceChildren(...symbols.map((symbol) => new Option(symbol, symbol)));
  }
  const wanted = line.market?.symbol ?? settings.symbol;
  const symbol = line.instruments.has(wanted) ? wanted : symbols[0];
  select.disabled = !symbols.length;
  if (symbol === undefined) return;
  select.value = symbol;
  if (!line.market) line.choose(symbol);
}

/** Once a frame, whatever came in it. */
function draw() {
  requestAnimationFrame(draw);
  if (!listed) listInstruments();
  const { market } = line;
  put("number", line.session ? grouped(line.number) : "–");
  put("session", line.session || "–");
  if (!market || (!market.touched.size && !restyled)) return;
  const touched = restyled ? new Set(CHANNELS) : market.touched;
  market.touched = new Set();
  restyled = false;
  if (touched.has("status")) touched.add("book.l2"); // the last price is marked there
  const barred = touched.has("bars.1m") || touched.has("bars.1d");
  if (touched.has("book.l2")) {
    depth.draw(market, view);
    if (ladder.draw(market, view)) market.touched.add("book.l2");
  }
  if (touched.has("trades")) tape.draw(market, view);
  if (barred) candles.draw(market, Number(settings.interval));
  if (barred || touched.has("status")) {
    quote(market);
    phase(market);
    statistics(market);
  }
  put("time", market.time ? timeOf(milliseconds(market.time), settings.zone) : "–");
  spoken = false;
  drawn += 1;
}

function quote(market) {
  const { decimals } = market;
  const { last, base, since } = market.quote;
  const price = last ? grouped(fixed(last, decimals)) : "–";
  const change = last && base ? scaled(last, decimals) - scaled(base, decimals) : 0n;
  const sign = change > 0n ? "+" : "";
  const part = base ? (Number(change) / Number(scaled(base, decimals))) * 100 : NaN;
  const percent = Number.isFinite(part) ? ` (${sign}${part.toFixed(2)}%)` : "";
  put("last", price);
  put("change", base ? `${sign}${unscaled(change, decimals)}${percent}` : "");
  at("change").title = base ? view.words.since[since] : "";
  at("quote").className = change > 0n ? "up" : change < 0n ? "down" : "";
  document.title = last ? `${market.symbol} ${price}` : market.symbol;
}

/** Phase and halt, where the feed says them. */
function phase({ status }) {
  const { words } = view;
  const said = status?.phase ? words.phases[status.phase] ?? status.phase : "";
  put("phase", status?.halted ? words.halted : said);
  at("phase").hidden = !status?.halted && !said;
  at("phase").className = status?.halted ? "halted" : "";
}

/** The figures of the day, and those of an auction while there is one. */
function figures(status) {
  const { indicative, reference } = status ?? {};
  const found = STATISTICS.map((name) => [name, status?.[name]]);
  if (reference) found.unshift(["reference", reference]);
  if (indicative) found.push(["indicative", indicative.price], ["matched", indicative.quantity]);
  return found;
}

function statistics({ status, decimals }) {
  const { words, language } = view;
  const long = matchMedia("(max-width: 760px)").matches ? LONG.narrow : LONG.wide;
  const pairs = figures(status).map(([name, figure]) => {
    const whole = shown(name, figure, decimals);
    const [pair, term, value] = ["div", "dt", "dd"].map((kind) => document.createElement(kind));
    term.textContent = words[name];
    value.textContent = whole.length > long ? short(figure, language) : whole;
    value.title = whole;
    pair.append(term, value);
    return pair;
  });
  at("statistics").replaceChildren(...pairs);
}

/** A figure of the day as a text. */
function shown(name, value, decimals) {
  if (value === undefined || value === null) return "–";
  if (name === "day") return grouped(Number(value) + 1); // the feed counts those that have ended
  if (PRICES.has(name)) return grouped(fixed(value, decimals));
  return grouped(name === "vwap" ? fixed(value, decimals + 2) : value);
}

/** The words for who does not see the canvases; not with each change, which nobody could follow. */
function speak() {
  if (spoken) return;
  spoken = true;
  writeTables(line.market, view, at);
}

at("symbol").addEventListener("change", (event) => {
  settings.choose("symbol", event.target.value);
  line.choose(event.target.value);
});
document.addEventListener("click", (event) => {
  if (!at("settings").contains(event.target)) at("settings").open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !at("settings").open) return;
  at("settings").open = false;
  at("settings").querySelector("summary").focus();
});
addEventListener("online", () => line.state === "waiting" && line.connect());

/** What the page knows, as plain data: for tests and for the curious. */
globalThis.matchcore = {
  line,
  state: () => {
    const { market } = line;
    const plain = ({ price, quantity, orders }) => [price, quantity, orders];
    const levels = (side) => market?.levels(side).map(plain);
    return {
      line: line.state, whole: line.whole, session: line.session, number: line.number, drawn,
      symbol: market?.symbol, bids: levels("bids"), asks: levels("asks"), trades: market?.trades,
      minutes: market && [...market.minutes.values()], days: market && [...market.days.values()],
      status: market?.status, bars: candles.bars,
    };
  },
};

settings.show();
line.connect();
setInterval(speak, SPOKEN_MS);
requestAnimationFrame(draw);
