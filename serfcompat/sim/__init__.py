"""The engines of production on virtual time and a network in memory. Start with `cluster.Cluster`."""
