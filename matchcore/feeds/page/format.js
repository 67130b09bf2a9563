// Numbers and times as texts. Prices stay decimal strings; floats are only for drawing.

/** How many decimals a decimal string has. */
export function decimalsOf(text) {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** A decimal string as a whole number of 10^-decimals: exact, and comparable. */
export function scaled(text, decimals) {
  const [whole, part = ""] = text.replace("-", "").split(".");
  const value = BigInt(whole + part.slice(0, decimals).padEnd(decimals, "0"));
  return text.startsWith("-") ? -value : value;
}

/** The decimal string of a `scaled` number. */
export function unscaled(value, decimals) {
  const digits = String(value < 0n ? -value : value).padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const part = decimals ? `.${digits.slice(-decimals)}` : "";
  return `${value < 0n ? "-" : ""}${whole}${part}`;
}

/** A decimal string with that many decimals: longer ones are cut, not rounded. */
export function fixed(text, decimals) {
  return unscaled(scaled(text, decimals), decimals);
}

/** A decimal string or an integer with commas between thousands. */
export function grouped(value) {
  const [whole, part] = String(value).split(".");
  const commas = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return part === undefined ? commas : `${commas}.${part}`;
}

/** A quantity in little room: 12,345 or 1.23M or 1.23亿. */
export function short(value, language) {
  const text = grouped(value);
  if (text.length <= 8) return text;
  const form = { notation: "compact", maximumFractionDigits: 2 };
  return new Intl.NumberFormat(language, form).format(Number(value));
}

const clocks = new Map();

function clock(zone, parts) {
  const key = zone + JSON.stringify(parts);
  if (!clocks.has(key)) {
    const form = { hourCycle: "h23", ...parts, ...(zone ? { timeZone: zone } : {}) };
    clocks.set(key, new Intl.DateTimeFormat("en-GB", form));
  }
  return clocks.get(key);
}

const HOURS = { hour: "2-digit", minute: "2-digit" };
const DATE = { year: "numeric", month: "2-digit", day: "2-digit" };

/** Nanoseconds since 1970, a text, as milliseconds. */
export const milliseconds = (nanoseconds) => Number(BigInt(nanoseconds) / 1_000_000n);

/** The time of day in a time zone ("": the browser's), from milliseconds: 09:00:01 or with .123. */
export function timeOf(ms, zone, fraction = false) {
  const text = clock(zone, { ...HOURS, second: "2-digit" }).format(ms);
  return fraction ? `${text}.${String(Math.floor(ms) % 1000).padStart(3, "0")}` : text;
}

export const minuteOf = (ms, zone) => clock(zone, HOURS).format(ms);

/** 2019-05-21 */
export const dateOf = (ms, zone) => clock(zone, DATE).format(ms).split("/").reverse().join("-");

/** Whether the browser knows a time zone of that name. */
export function isZone(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}
