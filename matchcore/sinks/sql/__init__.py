"""Databases through SQLAlchemy (extra `sql`): stores, queries, reconcile and rebuild.

`matchcore.sinks` exports what users need of it.
"""
