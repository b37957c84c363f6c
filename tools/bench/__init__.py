"""`make bench`: what is claimed, measured, and written to build/bench.json. One module measures one thing.

Each module has a ``measure`` that returns its figures as they stand in the file, with what could not be
measured here said in words. The machines are shared and noisy: what is compared takes turns, medians count,
and the figures that matter are ratios within one run.
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
