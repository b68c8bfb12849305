"""What the operations cost that a node repeats all day, beside what they cost in Go: `python -m benchmarks`."""
