"""Ratios to stated yardsticks, measured in the same run. Never part of the test suite: `make bench`."""
