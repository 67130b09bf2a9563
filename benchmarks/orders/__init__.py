"""Order entry over sockets: servers and clients of the suite `ouch`, each a process of its own."""
