"""Measurements: of the parts, end to end, and beside what a Python user could install instead."""
