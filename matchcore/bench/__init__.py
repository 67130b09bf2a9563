"""Workloads that nobody here chose, to measure with and to check against."""
