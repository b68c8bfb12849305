"""The harness against real Go agents, as it is run; its reusable parts are `serfcompat.testing`."""
