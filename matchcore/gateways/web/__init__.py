"""Order entry over HTTP and WebSocket, on one port.  Needs the extra `gateway`."""
