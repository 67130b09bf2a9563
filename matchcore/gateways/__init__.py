"""Order entry: doors that clients connect to, and the desk that they share.

A client's command goes to the engine; what the client hears is derived from the log.
"""
