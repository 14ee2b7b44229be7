"""What make_benchmark_fixtures.py is made of: one module a fixture, over `official` and `write`."""
