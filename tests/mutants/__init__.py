"""Rules of the code, broken on purpose: do the tests notice? `make mutants` draws some and tells."""
