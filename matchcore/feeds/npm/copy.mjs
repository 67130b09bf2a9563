// Copies the published production files of the page's libraries, and their licences, into ../page/lib.
import { copyFileSync, mkdirSync } from "node:fs";

const FILES = {
  "lightweight-charts/dist/lightweight-charts.standalone.production.mjs": "lightweight-charts.js",
  "lightweight-charts/LICENSE": "LICENSE-lightweight-charts.txt",
  "uplot/dist/uPlot.iife.min.js": "uplot.js",
  "uplot/dist/uPlot.min.css": "uplot.css",
  "uplot/LICENSE": "LICENSE-uplot.txt",
};

const place = (name) => new URL(name, import.meta.url);
mkdirSync(place("../page/lib/"), { recursive: true });
for (const [from, to] of Object.entries(FILES)) {
  copyFileSync(place(`node_modules/${from}`), place(`../page/lib/${to}`));
}
