"""Without database servers, if told so: see servers.sh."""

from __future__ import annotations

import os

SERVERS = ["test_mysql.py", "test_spider.py", "test_postgres.py"]

collect_ignore = SERVERS if os.environ.get("MATCHCORE_SKIP_SERVERS") else []
