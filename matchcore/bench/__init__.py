"""Workloads and measurements, for `matchcore bench` and the benchmarks folder."""
