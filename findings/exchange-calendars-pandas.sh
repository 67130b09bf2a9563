#!/usr/bin/env bash
# PyPI's exchange-calendars 4.13.2 with pandas 3.1.1: making any calendar warns that a future pandas
# will answer otherwise (`Series.values` of times with a zone), and under `python -W error`, which
# many test suites run with, there is no calendar at all.  The warning is from inside the library;
# with pandas 2.3.3 there is none.  matchcore ignores it while it asks for a calendar.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check exchange-calendars==4.13.2 pandas==3.1.1
"$place/venv/bin/python" -W error - <<'PYTHON'
import exchange_calendars
import pandas

print("exchange-calendars", exchange_calendars.__version__, "pandas", pandas.__version__)
for code in ("XSHG", "XNYS"):
    try:
        exchange_calendars.get_calendar(code)
        said = "a calendar"
    except DeprecationWarning as warning:
        said = f"{type(warning).__name__}: {str(warning).split('.')[0]}.{str(warning).split('.')[1]}"
    print(code, said)
    assert said.startswith("Pandas4Warning: Series.values")
PYTHON
echo "as described"
