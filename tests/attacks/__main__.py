"""Attack a service in every way that is known, and print what it did for others meanwhile.

Beside each attack somebody asks for liveness, reads and stores on ever new connections. The table says how many of
their requests were served, how long the slowest took, how much memory the service took at most, and how long it took
to stop while the attack went on. Figures are of this machine; `--beside` attacks another checkout as well.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.attacks.attacks import ATTACKS
from tests.attacks.measure import Result, measure


def table(results: Sequence[tuple[str, Result]], bounds: dict[str, str]) -> Table:
    """Lay the results out."""
    shown = Table("attack", "bound", "service", "live", "read", "stored", "slowest live", "memory", "stop", box=None)
    for checkout, result in results:
        shown.add_row(result.attack, bounds[result.attack], checkout, *result.columns())
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attacks, and print the table; the status is 1 if liveness or the end failed in any of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each attack lasts")
    parser.add_argument("--only", default="", help="only attacks with this word in their name")
    parser.add_argument("--beside", metavar="SRC", help="the src of another checkout, attacked as well")
    options = parser.parse_args(arguments)
    checkouts = {"this": None} | ({"other": options.beside} if options.beside else {})
    results = []
    for attack in (attack for attack in ATTACKS if options.only in attack.name):
        for checkout, source in checkouts.items():
            with TemporaryDirectory() as folder:
                results.append((checkout, measure(attack, Path(folder), options.seconds, source)))
            print(f"{checkout}: {results[-1][1]}", file=sys.stderr, flush=True)
    Console(width=200).print(table(results, {attack.name: attack.bound for attack in ATTACKS}))
    return 0 if all(result.is_sound for checkout, result in results if checkout == "this") else 1


if __name__ == "__main__":
    sys.exit(main())
