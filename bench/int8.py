"""A step of 64 images with every way there is, a teacher in 8-bit integers among them. A part of bench/run.py.

step.py says what the ways are. Its rows are of three sizes of batches and of a day before int8; these are of one size, and have the fastest
and the slowest call beside the median.
"""
import step

def rows(a):
    a.bs = a.bs or [64]
    yield from step.rows(a)
