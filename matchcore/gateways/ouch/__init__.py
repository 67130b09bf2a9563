"""OUCH 5.0 over SoupBinTCP: orders in binary messages of fixed fields; docs/gateways/ouch.md."""
