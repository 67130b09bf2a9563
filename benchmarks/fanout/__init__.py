"""Market data to many subscribers: a server on one core, its clients on the other."""
