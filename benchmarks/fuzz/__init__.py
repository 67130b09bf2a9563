"""Every parser of the gateways under millions of mutated inputs: `python -m benchmarks.fuzz`."""
