// The connection to the feed: it subscribes, notices silence and gaps, and connects again.
import { CHANNELS, Market } from "./market.js";

const PAUSE_MS = { first: 500, most: 15_000 };
const SILENT_BEATS = 3; // without a heartbeat, then the line is stale
const DEAD_BEATS = 10; // then it is cut
const RESUME_ERRORS = new Set(["ahead", "session"]); // the feed has no such number

export class Line {
  /** `told(name)` is called when "state", "instruments" or "market" has changed. */
  constructor(url, token, told) {
    Object.assign(this, { url, token, told });
    this.state = "connecting"; // or live, stale, waiting, refused
    this.session = "";
    this.number = 0;
    this.instruments = new Map(); // symbol -> { number, symbol, tick, lot }
    this.market = null;
    this.reason = "";
    this.id = 0;
    this.asked = new Map(); // id of a subscription -> its channel
    this.pending = new Set(); // channels of which nothing has come since they were subscribed to
    this.pause = PAUSE_MS.first;
    this.beat_ms = 1000;
    setInterval(() => this.watch(), 250);
  }

  connect() {
    clearTimeout(this.timer);
    this.socket?.close();
    const socket = (this.socket = new WebSocket(this.url));
    const mine = (handle) => (event) => this.socket === socket && handle(event);
    this.heard = Date.now();
    this.to("connecting");
    socket.onmessage = mine((event) => this.receive(JSON.parse(event.data)));
    socket.onclose = mine(() => this.later());
  }

  /** Connects again after a pause that grows, with some chance in it: not everybody at once. */
  later() {
    this.socket = null;
    const wait = this.pause * (0.75 + Math.random() / 2);
    this.pause = Math.min(this.pause * 2, PAUSE_MS.most);
    this.timer = setTimeout(() => this.connect(), wait);
    this.to("waiting");
  }

  to(state) {
    if (this.state === state) return;
    this.state = state;
    this.told("state");
  }

  /** Looks whether the heartbeats come. */
  watch() {
    if (!this.socket) return;
    const beats = (Date.now() - this.heard) / this.beat_ms;
    if (beats >= DEAD_BEATS) {
      this.socket.close();
      this.later();
    } else if (beats >= SILENT_BEATS && this.state === "live") {
      this.to("stale");
    }
  }

  alive(message) {
    this.heard = Date.now();
    if (message.number !== undefined) this.number = message.number;
    if (this.state !== "refused") this.to("live");
  }

  receive(message) {
    const { type } = message;
    if (type === "snapshot" || type === "update") this.take(message);
    else if (type === "heartbeat") this.alive(message);
    else if (type === "hello") this.hello(message);
    else if (type === "authenticated") this.begin(message.instruments);
    else if (type === "instrument") this.add(message.instrument);
    else if (type === "error") this.fail(message);
    else if (type === "bye") this.reason = message.reason;
  }

  hello(message) {
    this.beat_ms = message.heartbeat_ms ?? this.beat_ms;
    this.pause = PAUSE_MS.first;
    this.reason = "";
    if (this.session !== message.session && this.market) this.renew();
    this.session = message.session;
    this.to("connecting");
    this.alive(message);
    if (!message.token_needed) this.begin(message.instruments);
    else if (this.token) this.send({ op: "auth", token: this.token });
    else this.to("refused");
  }

  /** Once a connection, when it is admitted; `instruments`: if they are not too many to say. */
  async begin(instruments) {
    const { socket } = this;
    this.send({ op: "ping", id: ++this.id }); // who asks for nothing is dropped
    instruments ??= await this.listed().catch(() => []);
    if (this.socket !== socket) return;
    const open = this.market !== null; // else the first instruments choose it
    this.name(instruments);
    if (open) this.open(this.market);
  }

  async listed() {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const answer = await fetch("api/instruments", { headers });
    return (await answer.json()).instruments ?? [];
  }

  fail({ code, message, id }) {
    const channel = this.asked.get(id);
    if (channel && RESUME_ERRORS.has(code)) this.subscribe(channel);
    this.reason = message;
    if (code === "token") this.to("refused");
    else this.told("state");
  }

  /** Of another stream, nothing is known. */
  renew() {
    this.market = new Market(this.instrument(this.market.symbol));
  }

  /** The instruments that there are. */
  name(instruments) {
    this.instruments = new Map(instruments.map((one) => [one.symbol, one]));
    this.told("instruments");
  }

  /** A new one, or one with other parameters. */
  add(instrument) {
    this.instruments.set(instrument.symbol, instrument);
    this.told("instruments");
  }

  instrument(symbol) {
    return this.instruments.get(symbol) ?? { symbol, tick: "1" };
  }

  /** Shows the market of another symbol. */
  choose(symbol) {
    if (this.market) this.ask("unsubscribe", CHANNELS);
    this.open(new Market(this.instrument(symbol)));
  }

  open(market) {
    this.market = market;
    this.told("market");
    this.asked.clear();
    for (const channel of CHANNELS) this.subscribe(channel, market.numbers.get(channel));
  }

  /** After number `from`, or with a snapshot. */
  subscribe(channel, from) {
    if (from === undefined) this.market.numbers.delete(channel);
    this.ask("subscribe", [channel], from === undefined ? {} : { from });
    this.asked.set(this.id, channel);
    this.pending.add(channel);
  }

  ask(op, channels, more = {}) {
    this.send({ op, channels, symbols: [this.market.symbol], id: ++this.id, ...more });
  }

  /** Whether every channel has begun. */
  get whole() {
    return this.market !== null && this.pending.size === 0;
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  take(message) {
    const market = this.market;
    if (!market || message.symbol !== market.symbol) return;
    const { channel, number } = message;
    const known = market.numbers.get(channel);
    if (message.type === "update" && known === undefined) return; // a snapshot is on its way
    if (market.take(message)) {
      this.pending.delete(channel);
      if (number > this.number) this.number = number;
    } else if (!this.pending.has(channel)) {
      this.subscribe(channel, known); // something is missing
    }
  }
}
