"""What servers of feeds and of gateways share: secrets, rates, protocols of sessions, tasks."""
