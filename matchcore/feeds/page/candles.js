// Candles with volume below them, of minutes put together to the chosen interval.
import { CandlestickSeries, HistogramSeries, createChart } from "./lib/lightweight-charts.js";
import { dateOf, grouped, minuteOf, short, timeOf } from "./format.js";

const DAY = 86_400;
const BARS = 60; // room for so many, also when there are few

export class Candles {
  constructor(element, legend) {
    Object.assign(this, { element, legend, view: null, market: null, shown: "" });
    this.chart = createChart(element, {
      autoSize: true,
      layout: { attributionLogo: false, fontFamily: "system-ui, sans-serif", fontSize: 11 },
      timeScale: { timeVisible: true, secondsVisible: false, rightOffset: 4, minBarSpacing: 0.3,
        tickMarkFormatter: (time, kind) => this.mark(time, kind) },
      localization: { timeFormatter: (time) => this.moment(time) },
    });
    this.candles = this.chart.addSeries(CandlestickSeries, {});
    this.volumes = this.chart.addSeries(HistogramSeries, {
      priceFormat: {
        type: "custom",
        formatter: (value) => short(Math.round(value), this.view?.language),
      },
      priceLineVisible: false, lastValueVisible: false,
    }, 1);
    const [above, below] = this.chart.panes();
    above.setStretchFactor(4);
    below.setStretchFactor(1);
    this.chart.subscribeCrosshairMove((event) => this.point(event.time));
  }

  mark(time, kind) {
    const ms = time * 1000;
    return kind <= 2 || this.interval === DAY
      ? dateOf(ms, this.zone).slice(5) : minuteOf(ms, this.zone);
  }

  moment(time) {
    const ms = time * 1000;
    const date = dateOf(ms, this.zone);
    return this.interval === DAY ? date : `${date} ${timeOf(ms, this.zone).slice(0, 5)}`;
  }

  /** Days begin at midnight UTC. */
  get zone() {
    return this.interval === DAY ? "UTC" : this.view?.zone;
  }

  style(view) {
    const { colours } = view;
    this.view = view;
    this.chart.applyOptions({
      layout: { background: { color: colours.panel }, textColor: colours.dim,
        panes: { separatorColor: colours.edge, separatorHoverColor: colours.edge } },
      grid: { vertLines: { color: colours.edge }, horzLines: { color: colours.edge } },
      rightPriceScale: { borderColor: colours.edge, entireTextOnly: true },
      timeScale: { borderColor: colours.edge },
      localization: { locale: view.language === "zh" ? "zh-CN" : "en-GB" },
    });
    this.candles.applyOptions({
      upColor: colours.up, borderUpColor: colours.up, wickUpColor: colours.up,
      downColor: colours.down, borderDownColor: colours.down, wickDownColor: colours.down,
    });
    this.shown = ""; // the volumes have colours of their own
  }

  draw(market, interval) {
    const fresh = market !== this.market;
    this.market = market;
    this.interval = interval;
    const source = interval === DAY ? market.days : market.minutes;
    const bars = together([...source.values()], interval);
    const [last] = bars.slice(-1);
    const shown = `${market.symbol} ${interval} ${bars.length}`;
    if (fresh) this.scale(market.decimals);
    if (shown === this.shown && last) {
      this.candles.update(candle(last));
      this.volumes.update(this.volume(last));
    } else if (this.grown(bars, shown)) {
      for (const bar of bars.slice(-2)) {
        this.candles.update(candle(bar));
        this.volumes.update(this.volume(bar));
      }
    } else {
      this.candles.setData(bars.map(candle));
      this.volumes.setData(bars.map((bar) => this.volume(bar)));
      this.fit(`${market.symbol} ${interval}`, bars.length);
    }
    this.shown = shown;
    this.bars = bars;
    this.point();
  }

  /** Whether there is just one bar more than were drawn. */
  grown(bars, shown) {
    const before = shown.replace(/\d+$/, String(bars.length - 1));
    return bars.length > 1 && this.shown === before;
  }

  /** Shows all bars, once for each choice of them. */
  fit(choice, count) {
    if (!count || choice === this.fitted) return;
    const room = Math.max(count, BARS);
    this.chart.timeScale().setVisibleLogicalRange({ from: -0.04 * room, to: 1.04 * room });
    this.fitted = choice;
  }

  scale(decimals) {
    const minMove = 10 ** -decimals;
    const formatter = (price) => grouped(price.toFixed(decimals));
    this.candles.applyOptions({ priceFormat: { type: "custom", minMove, formatter } });
  }

  volume([time, open, , , close, volume]) {
    const { colours } = this.view;
    const up = Number(close) >= Number(open);
    return { time, value: Number(volume), color: `${up ? colours.up : colours.down}80` };
  }

  /** Says the bar under the pointer, or the last one. */
  point(time) {
    if (time !== undefined || !this.pointed) this.pointed = time;
    const bar = this.bars?.find((one) => one[0] === time) ?? this.bars?.[this.bars.length - 1];
    this.legend.replaceChildren();
    if (!bar || !this.view) return;
    for (const [at, name] of this.view.words.bar.entries()) {
      const value = document.createElement("b");
      value.textContent = grouped(bar[at + 1]);
      this.legend.append(` ${name} `, value);
    }
  }
}

const candle = ([time, open, high, low, close]) => ({
  time, open: Number(open), high: Number(high), low: Number(low), close: Number(close),
});

/** Bars of `interval` seconds from shorter ones; prices stay the texts that they are. */
export function together(bars, interval) {
  const found = [];
  for (const [start, open, high, low, close, volume] of bars) {
    const time = Math.floor(Number(start) / interval) * interval;
    const last = found[found.length - 1];
    if (last?.[0] !== time) {
      found.push([time, open, high, low, close, Number(volume)]);
      continue;
    }
    if (Number(high) > Number(last[2])) last[2] = high;
    if (Number(low) < Number(last[3])) last[3] = low;
    last[4] = close;
    last[5] += Number(volume);
  }
  return found;
}
