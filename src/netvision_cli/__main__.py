"""Run `netvision` as `python -m netvision_cli`."""

from netvision_cli.cli import main

main()
