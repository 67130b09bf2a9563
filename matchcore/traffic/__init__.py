"""Clients that trade at a running exchange: load, drills and soaks."""
