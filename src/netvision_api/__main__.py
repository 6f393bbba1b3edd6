"""Run `netvision-api` as `python -m netvision_api`."""

from netvision_api.cli import main

main()
