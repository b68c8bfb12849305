"""The same scripts on a cluster of Go and on one of another implementation, and what differs."""
