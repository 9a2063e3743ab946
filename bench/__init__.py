"""Benchmarks: every figure beside its floor or peer from the same run.

`python -m bench` runs them all and prints a table; `docs/benchmarks.md` says what each one measures. The machine is
assumed to be noisy: ours and the floor take turns in short slices, and what counts is the median of the ratios.
"""
