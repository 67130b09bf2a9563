"""The page in a browser, against a running feed: it shows what the exchange holds."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import feed_kit as kit
import numpy as np
import pytest
from page_kit import Browser, RunningFeed, until
from proxy import Proxy

import matchcore as mc
from matchcore.cli.feed_web import page_directory
from matchcore.feeds import Stream
from matchcore.feeds.web.tokens import add_token
from matchcore.importers import sample_day, source_of

SOURCE = source_of("bme", sample_day())
COMMANDS = np.concatenate([commands for commands, _ in SOURCE.rows(SOURCE.instruments)])
(ANA,) = SOURCE.instruments
OTHER = mc.Instrument("OTHER", "0.001")
BATCH = 50
TAPE_ROWS = 200
WEIGHTS = (0.2126, 0.7152, 0.0722)  # of red, green and blue in what is seen as light
ADDRESS = "http://127.0.0.1:{}/?lang=en&theme=dark&zone=UTC&symbol=ANA&colours="


class Day:
    """The sample day in an exchange, as far as it was sent, with a feed beside it."""

    def __init__(self, place: Path) -> None:
        self.path = place / "exchange.d"
        self.engine = mc.Engine.open(self.path, instruments=[ANA, OTHER], policy="os")
        self.sent = 0
        self.trades: list[dict[str, Any]] = []

    def trade(self, share: float) -> None:
        """Sends the commands up to this share of the day."""
        upto = int(len(COMMANDS) * share)
        for first in range(self.sent, upto, BATCH):
            part = COMMANDS[first : min(first + BATCH, upto)]
            events = self.engine.submit_batch(part)
            for event in events[events["kind"] == mc.EventKind.TRADED]:
                time = part["time"][int(event["sequence"]) - int(events["sequence"][0])]
                self.trades.append(
                    {"id": int(event["trade_id"]), "price": ANA.price(int(event["price"])),
                     "quantity": int(event["quantity"]), "time": int(time),
                     "side": "sell" if event["side"] == mc.Side.BUY else "buy"}
                )  # fmt: skip
        self.sent = upto

    @property
    def number(self) -> int:
        """Of the newest change, as another stream counts it."""
        with Stream(self.path) as stream:
            return max((changes.last for changes in stream.poll()), default=0)

    def levels(self, side: mc.Side) -> list[list[Any]]:
        levels = self.engine.book("ANA").levels(side)
        return [
            [ANA.price(int(one["price"])), int(one["quantity"]), int(one["orders"])]
            for one in levels
        ]

    def bars(self, seconds: int) -> list[list[Any]]:
        """Bars of the trades, one by one: start, open, high, low, close, volume, turnover."""
        found: dict[int, list[Any]] = {}
        for trade in self.trades:
            start, price = trade["time"] // 10**9 // seconds * seconds, trade["price"]
            bar = found.setdefault(start, [start, price, price, price, price, 0, Decimal(0)])
            bar[2], bar[3], bar[4] = max(bar[2], price), min(bar[3], price), price
            bar[5] += trade["quantity"]
            bar[6] += price * trade["quantity"]
        return list(found.values())


@contextmanager
def beginning(place: Path, share: float, *options: object) -> Iterator[tuple[Day, RunningFeed]]:
    """The day up to a share of it, and a feed with these options."""
    day = Day(place)
    with closing(day.engine):
        day.trade(share)
        with RunningFeed(day.path, place / "feed.txt", *options) as feed:
            yield day, feed


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with closing(Browser(tmp_path_factory.mktemp("page"))) as found:
        yield found


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Day, RunningFeed]]:
    """Most of the day, and its feed."""
    with beginning(tmp_path_factory.mktemp("day"), 0.9) as found:
        yield found


def numbers(rows: list[list[Any]]) -> list[list[Any]]:
    """The same rows with all that is a text as the number that it says."""
    return [[Decimal(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]


def check(found: dict[str, Any], day: Day, joined: int) -> None:
    """The page against the exchange; ``joined``: trades that there were when it was opened."""
    assert numbers(found["bids"]) == day.levels(mc.Side.BUY)
    assert numbers(found["asks"]) == day.levels(mc.Side.SELL)
    tape = [
        {**one, "id": int(one["id"]), "price": Decimal(one["price"]), "time": int(one["time"])}
        for one in found["trades"]
    ]
    assert tape == day.trades[-TAPE_ROWS:][-len(tape) :]
    assert len(tape) >= min(TAPE_ROWS, len(day.trades) - joined)
    assert numbers(found["minutes"]) == day.bars(60)
    assert numbers(found["days"]) == day.bars(86_400)
    status, (whole,) = found["status"], day.bars(86_400)
    names = ("open", "high", "low", "last", "volume", "turnover")
    assert numbers([[status[name] for name in names]]) == [whole[1:]]
    assert status["trades"] == len(day.trades)
    assert abs(Decimal(status["vwap"]) - whole[6] / whole[5]) < Decimal("0.0001")


def test_the_page_shows_what_the_exchange_holds_until_the_day_ends(
    browser: Browser, tmp_path: Path
) -> None:
    with beginning(tmp_path, 0.5) as (day, feed):
        joined = len(day.trades)
        browser.open(ADDRESS.format(feed.port))
        check(browser.until(number=day.number, line="live", symbol="ANA"), day, joined)
        for share in (0.7, 0.97, 1):  # at its end the book is empty
            day.trade(share)
            check(browser.until(number=day.number), day, joined)
        last = f"{day.trades[-1]['price']}"
        until(lambda: browser.run("return document.getElementById('last').textContent") == last)
        assert browser.complaints() == []


def test_after_silence_and_cuts_no_trade_is_missing(browser: Browser, tmp_path: Path) -> None:
    with beginning(tmp_path, 0.4) as (day, feed), closing(Proxy("127.0.0.1", feed.port)) as line:
        joined = len(day.trades)
        browser.open(ADDRESS.format(line.port))
        browser.until(number=day.number, line="live", symbol="ANA")
        feed.send(signal.SIGSTOP)
        day.trade(0.5)
        browser.until(line="stale")
        assert browser.run("return document.getElementById('state').textContent") == "Stale"
        feed.send(signal.SIGCONT)
        check(browser.until(line="live", number=day.number), day, joined)

        line.refusing = True
        line.move("127.0.0.1", feed.port)
        browser.until(line="waiting")
        day.trade(0.6)
        line.refusing = False
        check(browser.until(line="live", number=day.number), day, joined)

        feed.kill()
        browser.until(line="waiting")
        day.trade(0.7)
        feed.start()
        check(browser.until(line="live", number=day.number), day, joined)
        browser.complaints()  # of refused connections


LOSE = """
    const [channel] = arguments;
    matchcore.line.receive = function (message) {
      if (message.type !== "update" || message.channel !== channel) {
        return Object.getPrototypeOf(this).receive.call(this, message);
      }
      delete this.receive;
    };
"""


def test_a_lost_message_is_noticed_and_fetched(browser: Browser, tmp_path: Path) -> None:
    with beginning(tmp_path, 0.5) as (day, feed):
        joined = len(day.trades)
        browser.open(ADDRESS.format(feed.port))
        browser.until(number=day.number, line="live", symbol="ANA")
        for share, channel in ((0.6, "book.l2"), (0.7, "trades"), (0.8, "bars.1m")):
            browser.run(LOSE, channel)
            day.trade(share)
            until(lambda: browser.run("return !Object.hasOwn(matchcore.line, 'receive')"))
            day.trade(share + 0.01)  # shows the gap
            check(browser.until(number=day.number), day, joined)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_look(
    browser: Browser, late: tuple[Day, RunningFeed], language: str, theme: str
) -> None:
    day, feed = late
    browser.size(1280, 800)
    browser.open(f"http://127.0.0.1:{feed.port}/?lang={language}&theme={theme}&symbol=ANA&colours=")
    browser.until(number=day.number, line="live")
    until(lambda: browser.run("return matchcore.state().drawn > 0"))
    assert (
        browser.run("return document.documentElement.lang") == {"en": "en", "zh": "zh-CN"}[language]
    )
    text = browser.run("return document.body.innerText")
    assert bool(re.search(r"[一-鿿]", text.replace("中文", ""))) == (language == "zh")
    assert {"en": "Order book", "zh": "盘口"}[language] in text
    assert "undefined" not in text and "NaN" not in text
    colours = palette(browser)
    light = contrast(colours["panel"], "#000000") > contrast(colours["panel"], "#ffffff")
    assert light == (theme == "light")
    for name in ("text", "dim", "up", "down"):
        assert contrast(colours[name], colours["panel"]) >= 4.5, name
    red, green, _ = channels(colours["up"])
    assert (red > green) == (language == "zh")  # red is up in China
    drawn = """
        const canvas = document.getElementById(arguments[0]);
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(data).size;
    """
    for name in ("ladder", "tape"):
        assert browser.run(drawn, name) > 16, f"{name} is empty"
    places = browser.run("return performance.getEntriesByType('resource').map(one => one.name)")
    assert places and all(f"127.0.0.1:{feed.port}/" in place for place in places)
    assert browser.complaints() == []
    assert browser.shot(f"{language}-{theme}").stat().st_size > 20_000


def palette(browser: Browser) -> dict[str, str]:
    code = """
        const style = getComputedStyle(document.documentElement);
        const names = ["panel", "text", "dim", "up", "down"];
        return Object.fromEntries(names.map((one) => [one, style.getPropertyValue(`--${one}`)]));
    """
    found: dict[str, str] = browser.run(code)
    return found


def channels(colour: str) -> list[float]:
    return [int(colour.strip()[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def contrast(one: str, other: str) -> float:
    """By the Web Content Accessibility Guidelines, 1 to 21."""

    def luminance(colour: str) -> float:
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in channels(colour)
        ]
        return sum(part * weight for part, weight in zip(linear, WEIGHTS, strict=True))

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("width", "height"), [(360, 740), (820, 1100), (1920, 1080)])
def test_nothing_overlaps_or_needs_scrolling_sideways(
    browser: Browser, late: tuple[Day, RunningFeed], width: int, height: int
) -> None:
    day, feed = late
    browser.size(width, height)
    browser.open(ADDRESS.format(feed.port))
    browser.until(number=day.number, line="live")
    code = """
        const boxes = [...document.querySelectorAll("main > section")].map((one) => {
          const { left, right, top, bottom } = one.getBoundingClientRect();
          return [left, right, top, bottom];
        });
        return [document.documentElement.scrollWidth, boxes];
    """
    wide, boxes = browser.run(code)
    assert wide <= width
    assert len(boxes) == 4 and all(
        right - left > 200 and bottom - top > 150 for left, right, top, bottom in boxes
    )
    for at, (left, right, top, bottom) in enumerate(boxes):
        for other in boxes[at + 1 :]:
            assert right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
    browser.shot(f"{width}x{height}")


def test_keys_and_a_screen_reader_find_everything(
    browser: Browser, late: tuple[Day, RunningFeed]
) -> None:
    day, feed = late
    browser.size(1280, 800)
    browser.open(ADDRESS.format(feed.port))
    browser.until(number=day.number, line="live")
    seen = []
    for _ in range(12):
        browser.keys("\ue004")  # Tab
        seen.append(
            browser.run("return document.activeElement.id || document.activeElement.tagName")
        )
    assert {"symbol", "SUMMARY", "A"} <= set(seen)
    browser.run("document.querySelector('#settings summary').focus()")
    browser.keys("\ue007")  # Enter
    assert browser.run("return document.getElementById('settings').open")
    browser.keys("\ue00c")  # Escape
    assert not browser.run("return document.getElementById('settings').open")
    asks, bids = day.levels(mc.Side.SELL)[:5], day.levels(mc.Side.BUY)[:5]
    spoken = [[word, f"{price}", f"{quantity:,}", f"{orders}"]
              for word, levels in (("Ask", asks), ("Bid", bids))
              for price, quantity, orders in levels]  # fmt: skip
    rows = """
        const rows = [...document.querySelectorAll("#ladder-text tr")].slice(1);
        return rows.map((row) => [...row.cells].map((cell) => cell.textContent));
    """
    assert spoken
    until(lambda: browser.run(rows) == spoken, lambda: browser.run(rows))
    unnamed = """
        const named = (one) => one.getAttribute("aria-label") || one.labels?.length;
        return [...document.querySelectorAll("select, summary, [role=img]")]
          .filter((one) => !named(one)).map((one) => one.outerHTML);
    """
    assert browser.run(unnamed) == []


TEXTS = """
    return Object.fromEntries(["phase", "statistics"].map((one) => {
      const element = document.getElementById(one);
      return [one, element.hidden ? "" : element.innerText.replaceAll("\\n", " ")];
    }));
"""


def test_phase_halt_and_prices_of_an_auction_are_there_when_they_are_said(browser: Browser) -> None:
    source = kit.Scripted(kit.ANA)
    with kit.web_of(source, page_directory()) as port:
        browser.size(1280, 800)
        browser.open(ADDRESS.format(port))
        browser.until(line="live", symbol="ANA")
        texts = browser.run(TEXTS)
        assert not texts["phase"] and "Reference" not in texts["statistics"]
        number = source.say(
            kit.market(mc.ChangeKind.PHASE, phase=mc.Phase.CLOSING_CALL),
            kit.market(mc.ChangeKind.REFERENCE, price=1900),
            kit.market(mc.ChangeKind.INDICATIVE, price=1911, quantity=70, phase=7),
        )
        browser.until(number=number)
        until(lambda: browser.run(TEXTS)["phase"] == "Closing call")
        statistics = browser.run(TEXTS)["statistics"]
        for figure in ("Reference 95.00", "Indicative 95.55", "Would trade 70"):
            assert figure in statistics
        browser.shot("auction")
        source.say(kit.market(mc.ChangeKind.HALT, halted=1), kit.market(mc.ChangeKind.INDICATIVE))
        until(lambda: browser.run(TEXTS)["phase"] == "Halted")
        assert "Indicative" not in browser.run(TEXTS)["statistics"]
        browser.size(360, 740)
        browser.open(ADDRESS.format(port).replace("lang=en", "lang=zh"))
        until(lambda: browser.run(TEXTS)["phase"] == "停牌")
        source.say(
            kit.market(mc.ChangeKind.HALT),
            kit.market(mc.ChangeKind.PHASE, phase=mc.Phase.OPENING_CALL_LOCKED),
            kit.market(mc.ChangeKind.INDICATIVE, price=1911, quantity=70, phase=3),
        )
        until(lambda: "不可撤单" in browser.run(TEXTS)["phase"])
        assert browser.run("return document.documentElement.scrollWidth") <= 360
        browser.shot("auction-phone")
        assert browser.complaints() == []


def test_another_symbol_and_other_colours_are_a_choice(browser: Browser, tmp_path: Path) -> None:
    with beginning(tmp_path, 0.3) as (day, feed):
        day.engine.submit(mc.NewOrder("OTHER", mc.Side.BUY, 7, price="1.234"))
        day.engine.submit(mc.NewOrder("OTHER", mc.Side.SELL, 8, price="1.25"))
        browser.open(ADDRESS.format(feed.port))
        browser.until(symbol="ANA", line="live", number=day.number)
        choose(browser, "#symbol", "OTHER")
        found = browser.until(symbol="OTHER", bids=[["1.234", 7, 1]], asks=[["1.250", 8, 1]])
        assert found["trades"] == []
        choose(browser, "#symbol", "ANA")
        until(lambda: numbers(browser.state()["bids"]) == day.levels(mc.Side.BUY))
        before = palette(browser)
        choose(browser, "[data-setting=colours]", "red-up")
        after = palette(browser)
        assert (before["up"], before["down"]) == (after["down"], after["up"])
        choose(browser, "[data-setting=interval]", "300")
        until(lambda: len(browser.state()["bars"]) == len(day.bars(300)))
        for bar, wanted in zip(browser.state()["bars"], day.bars(300), strict=True):
            assert numbers([bar]) == [wanted[:6]]


def choose(browser: Browser, select: str, value: str) -> None:
    code = """
        const select = document.querySelector(arguments[0]);
        select.value = arguments[1];
        select.dispatchEvent(new Event("change", { bubbles: true }));
    """
    browser.run(code, select, value)


def test_a_token_is_taken_from_the_address(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = add_token(file, "desk", (), (), None)
    with beginning(tmp_path, 0.1, "--tokens", file) as (day, feed):
        browser.open(ADDRESS.format(feed.port))
        until(lambda: browser.state().get("line") == "refused")
        browser.open(ADDRESS.format(feed.port) + "#token=wrong")
        until(lambda: browser.state().get("line") == "refused")
        assert "not known" in browser.run("return document.getElementById('line').title")
        browser.open(ADDRESS.format(feed.port) + f"#token={token}")
        check(browser.until(line="live", number=day.number, symbol="ANA"), day, len(day.trades))


def test_more_instruments_than_a_greeting_holds_can_be_chosen(
    browser: Browser, tmp_path: Path
) -> None:
    with beginning(tmp_path, 0.1) as (day, feed):
        browser.open(ADDRESS.format(feed.port))
        browser.until(line="live", symbol="ANA", number=day.number)
        symbols = "return [...document.querySelectorAll('#symbol option')].map((one) => one.value)"
        assert browser.run(symbols) == ["ANA", "OTHER"]
        added = [mc.AddInstrument(mc.Instrument(f"S{number}", 1)) for number in range(1000)]
        day.engine.submit_batch(mc.encode_all(added, day.engine.instruments))
        browser.until(number=day.number)
        wanted = [one.symbol for one in day.engine.instruments]
        until(lambda: browser.run(symbols) == wanted)
        browser.open(ADDRESS.format(feed.port) + "&symbol=S999")
        browser.until(line="live", number=day.number, symbol="S999")
        assert browser.run(symbols) == wanted
