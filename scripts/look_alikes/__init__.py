"""What make_look_alikes.py is made of: one module a family of benchmarks, over `sources`."""
