"""Hostile bytes through everything that reads bytes from outside: `python -m tests.fuzz --n 1000000 --seed 1`.

Input number i of a seed is always the same, however many there are and however many processes share
them, so that a failure can be made again from two numbers. The input itself is kept as well.
"""
