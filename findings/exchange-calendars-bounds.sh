#!/usr/bin/env bash
# PyPI's exchange-calendars 4.13.2: a calendar that is asked for from one day to another calls the
# holidays at its ends out of bounds.
# `get_calendar(start=, end=)` takes 2026-01-01 to 2026-10-05; `is_session` then answers for days
# between its first and last session only, and raises DateOutOfBounds for 2026-01-01 and 2026-10-05,
# which it was asked for and knows to be holidays.  For 2026-01-04, a Sunday, too.
# matchcore looks the day up among the sessions instead.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check exchange-calendars==4.13.2 pandas==2.3.3
"$place/venv/bin/python" - <<'PYTHON'
import exchange_calendars
from exchange_calendars.errors import DateOutOfBounds

print("exchange-calendars", exchange_calendars.__version__)
start, end = "2026-01-01", "2026-10-05"
calendar = exchange_calendars.get_calendar("XSHG", start=start, end=end)
print("asked for", start, "to", end, "- sessions from",
      calendar.first_session.date(), "to", calendar.last_session.date())
said = {}
for day in ("2026-01-01", "2026-01-04", "2026-01-05", "2026-02-23", "2026-09-30", "2026-10-05"):
    try:
        said[day] = calendar.is_session(day)
    except DateOutOfBounds as error:
        said[day] = type(error).__name__
    print(day, said[day])
assert said == {
    "2026-01-01": "DateOutOfBounds", "2026-01-04": "DateOutOfBounds", "2026-01-05": True,
    "2026-02-23": False, "2026-09-30": True, "2026-10-05": "DateOutOfBounds",
}
PYTHON
echo "as described"
