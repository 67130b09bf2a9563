"""Instruments with a market in the reference machine, one file a subject."""
