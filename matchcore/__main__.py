"""`python -m matchcore`: the same as the `matchcore` command."""

from .cli import main

main()
