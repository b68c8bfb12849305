"""Agents of ours with a fault each, for the conformance kit to find.

`interop/mutants/run NAME agent …` is `serfcompat agent …` with that fault; nothing else switches one on.
`python -m interop.mutants.check` lets the kit look at each.
"""
