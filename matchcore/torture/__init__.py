"""The fault bench: disks that fail, tear and lie, flips, cuts and kills, from one seed.

`matchcore torture` runs it; docs/reliability.md says what it promises and what it found.
"""

from __future__ import annotations
