// What a person has chosen: in the address (?lang=zh&theme=dark), else kept by the browser.
import { isZone } from "./format.js";

const chinese = () => navigator.language.toLowerCase().startsWith("zh");
const CHOICES = {
  lang: ["en", "zh"],
  theme: ["system", "dark", "light"],
  colours: ["", "green-up", "red-up", "blue-up"], // "": by language
  interval: ["60", "300", "900", "3600", "86400"],
};
const ZONES = ["", "UTC", "Asia/Shanghai", "Asia/Hong_Kong", "Asia/Singapore", "Asia/Tokyo",
  "Europe/London", "Europe/Madrid", "America/New_York", "America/Chicago"];
const KEPT = "matchcore.page";

export class Settings {
  constructor(changed) {
    this.changed = changed;
    this.lang = chinese() ? "zh" : "en";
    Object.assign(this, { theme: "system", colours: "", zone: "", interval: "60", symbol: "" });
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(KEPT)) ?? {};
    } catch {
      // nothing is kept, or nothing may be
    }
    const asked = Object.fromEntries(new URLSearchParams(location.search));
    for (const said of [kept, asked]) {
      for (const [name, value] of Object.entries(said)) this.take(name, value);
    }
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.system.addEventListener("change", () => this.show());
  }

  /** False for what cannot be chosen. */
  take(name, value) {
    const fine = CHOICES[name]?.includes(value)
      ?? ((name === "zone" && (value === "" || isZone(value))) || name === "symbol");
    if (fine) this[name] = value;
    return fine;
  }

  choose(name, value) {
    if (!this.take(name, value)) return;
    const { lang, theme, colours, zone, interval, symbol } = this;
    try {
      localStorage.setItem(KEPT, JSON.stringify({ lang, theme, colours, zone, interval, symbol }));
    } catch {
      // a browser that keeps nothing
    }
    this.show();
  }

  /** The colours of gains and losses: red is up in China. */
  get gains() {
    return this.colours || (this.lang === "zh" ? "red-up" : "green-up");
  }

  get dark() {
    return this.theme === "system" ? this.system.matches : this.theme === "dark";
  }

  /** Puts everything into force. */
  show() {
    const { dataset } = document.documentElement;
    dataset.theme = this.dark ? "dark" : "light";
    dataset.colours = this.gains;
    this.changed();
  }

  /** Fills and follows the <select> elements that name a setting by `data-setting`. */
  bind(words) {
    for (const select of document.querySelectorAll("select[data-setting]")) {
      const name = select.dataset.setting;
      if (name === "zone" && select.options.length === 0) {
        for (const zone of new Set([...ZONES, this.zone])) select.add(new Option(zone, zone));
      }
      if (name === "zone") select.options[0].text = words.browserZone;
      if (name === "interval") {
        const names = Object.entries(words.intervals);
        select.replaceChildren(...names.map(([seconds, word]) => new Option(word, seconds)));
      }
      select.value = name === "colours" ? this.gains : this[name];
      select.onchange = () => this.choose(name, select.value);
    }
  }
}

/** The colours that the style sheet has now, by name: for canvases. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["back", "panel", "text", "dim", "edge", "up", "down", "accent", "up-soft",
    "down-soft", "flash"];
  const value = (name) => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(names.map((name) => [name, value(name)]));
}
