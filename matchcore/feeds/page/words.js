// What the page says, in English and Chinese.
export const WORDS = {
  en: {
    title: "Market", skip: "To the market", symbol: "Symbol", settings: "Settings",
    language: "Language", theme: "Theme", dark: "Dark", light: "Light", system: "As the system",
    colours: "Colours", greenUp: "Green up, red down", redUp: "Red up, green down",
    blueUp: "Blue up, orange down", zone: "Times", browserZone: "This device's time zone",
    chart: "Candles", interval: "Interval", ladder: "Order book", tape: "Trades", depth: "Depth",
    open: "Open", high: "High", low: "Low", last: "Last", volume: "Volume", turnover: "Turnover",
    vwap: "VWAP", trades: "Trades", day: "Day", reference: "Reference",
    indicative: "Indicative", matched: "Would trade", halted: "Halted",
    phases: {
      pre_open: "Pre-open", opening_call: "Opening call", opening_call_locked: "Opening call, locked",
      quiet: "Quiet", continuous: "Continuous", break: "Break", closing_call: "Closing call",
      at_closing_price: "At the closing price", closed: "Closed",
      volatility_call: "Volatility auction", cancel_only: "Cancels only",
    },
    price: "Price", quantity: "Quantity", orders: "Orders", time: "Time", bid: "Bid", ask: "Ask",
    buy: "Buy", sell: "Sell", spread: "Spread", total: "Total",
    connecting: "Connecting", live: "Live", stale: "Stale", waiting: "Reconnecting",
    refused: "Refused", number: "Number", session: "Session", marketTime: "Market time",
    empty: "No orders", noTrades: "No trades yet", noInstruments: "No instruments yet",
    bar: ["O", "H", "L", "C", "V"],
    intervals: { 60: "1m", 300: "5m", 900: "15m", 3600: "1h", 86400: "1d" },
    since: { close: "since the last close", open: "since the open", reference: "since the reference price" },
    charts: "Charts by", licences: "Licences",
  },
  zh: {
    title: "行情", skip: "跳到行情", symbol: "代码", settings: "设置",
    language: "语言", theme: "外观", dark: "深色", light: "浅色", system: "跟随系统",
    colours: "涨跌颜色", greenUp: "绿涨红跌", redUp: "红涨绿跌",
    blueUp: "蓝涨橙跌", zone: "时区", browserZone: "本机时区",
    chart: "K线", interval: "周期", ladder: "盘口", tape: "逐笔成交", depth: "深度",
    open: "今开", high: "最高", low: "最低", last: "最新", volume: "成交量", turnover: "成交额",
    vwap: "均价", trades: "成交笔数", day: "交易日", reference: "参考价",
    indicative: "虚拟参考价", matched: "虚拟匹配量", halted: "停牌",
    phases: {
      pre_open: "开盘前", opening_call: "开盘集合竞价", opening_call_locked: "开盘集合竞价（不可撤单）",
      quiet: "静默", continuous: "连续竞价", break: "休市", closing_call: "收盘集合竞价",
      at_closing_price: "盘后固定价格", closed: "闭市", volatility_call: "波动性集合竞价",
      cancel_only: "仅可撤单",
    },
    price: "价格", quantity: "数量", orders: "笔数", time: "时间", bid: "买", ask: "卖",
    buy: "买", sell: "卖", spread: "价差", total: "累计",
    connecting: "连接中", live: "实时", stale: "数据停滞", waiting: "重连中",
    refused: "被拒绝", number: "序号", session: "会话", marketTime: "行情时间",
    empty: "暂无挂单", noTrades: "暂无成交", noInstruments: "暂无代码",
    bar: ["开", "高", "低", "收", "量"],
    intervals: { 60: "1分", 300: "5分", 900: "15分", 3600: "1小时", 86400: "日线" },
    since: { close: "较昨收", open: "较今开", reference: "较参考价" },
    charts: "图表", licences: "许可证",
  },
};

/** Writes the words into the elements that name them by `data-word`, `data-label`. */
export function translate(language) {
  const words = WORDS[language];
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-word]")) {
    element.textContent = words[element.dataset.word];
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", words[element.dataset.label]);
  }
}
