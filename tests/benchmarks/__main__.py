"""Run as `python -m tests.benchmarks`."""

from tests.benchmarks.command import main

main()
