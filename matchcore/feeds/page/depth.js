// The depth chart: how much is bid and asked up to each price.
import { fixed, grouped, short } from "./format.js";

const LEVELS = 60; // of each side
const { uPlot } = globalThis;

export class Depth {
  constructor(element, legend) {
    Object.assign(this, { element, legend, view: null, market: null });
    const colour = (name) => () => this.view?.colours[name];
    const axis = { stroke: colour("dim"), grid: { stroke: colour("edge"), width: 1 },
      ticks: { stroke: colour("edge"), width: 1 }, font: "11px system-ui, sans-serif" };
    const side = (name, align) => ({
      stroke: colour(name), fill: colour(`${name}-soft`), width: 2, points: { show: false },
      paths: uPlot.paths.stepped({ align }),
    });
    this.plot = new uPlot({
      ...this.size(),
      padding: [10, 26, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: false }, y: { range: (plot, least, most) => [0, (most || 1) * 1.08] } },
      axes: [
        { ...axis, size: 28, values: (plot, prices) => prices.map((price) => this.price(price)) },
        { ...axis, size: 56, values: (plot, sums) => sums.map((sum) => this.sum(sum)) },
      ],
      series: [{}, side("up", -1), side("down", 1)],
      hooks: { setCursor: [() => this.point()] },
    }, [[], [], []], element);
    new ResizeObserver(() => this.plot.setSize(this.size())).observe(element);
  }

  size() {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  price(number) {
    return grouped(number.toFixed(this.market?.decimals ?? 2));
  }

  sum(number) {
    return Number.isInteger(number) ? short(number, this.view?.language) : "";
  }

  draw(market, view) {
    Object.assign(this, { market, view });
    const bids = steps(market.levels("bids"));
    const asks = steps(market.levels("asks"));
    const nothing = (steps) => steps.map(() => null);
    bids.reverse();
    const of = (steps, at) => steps.map((step) => step[at]);
    this.plot.setData([
      [...of(bids, 0), ...of(asks, 0)],
      [...of(bids, 1), ...nothing(asks)],
      [...nothing(bids), ...of(asks, 1)],
    ]);
  }

  /** Says what is under the pointer. */
  point() {
    const { cursor, data } = this.plot;
    const at = cursor.left >= 0 ? cursor.idx : null;
    if (at === null || at === undefined || !this.view) {
      this.legend.textContent = "";
      return;
    }
    const { words } = this.view;
    const sum = data[1][at] ?? data[2][at];
    const side = data[1][at] === null ? words.ask : words.bid;
    const price = fixed(String(data[0][at]), this.market.decimals);
    this.legend.textContent = `${side} ${grouped(price)} · ${words.total} ${grouped(sum)}`;
  }
}

/** [price, quantity up to there] of the levels near the best one, for drawing. */
function steps(levels) {
  let sum = 0;
  return levels.slice(0, LEVELS).map(({ price, quantity }) => {
    sum += Number(quantity);
    return [Number(price), sum];
  });
}
