"""The market over WebSocket and HTTP, on one port.  Needs the extra `feed`."""
