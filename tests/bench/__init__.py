"""The figures that the bridge must reach, measured on real parts: `make bench`, or `python -m tests.bench NAME …`.

Every bench runs the bridge as a process of its own; what knocks at it (a PBX, pages, a browser) runs beside it on the same
machine and takes its share of the cores, which the figures contain.
"""
