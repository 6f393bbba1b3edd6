"""The numbers of the account: what each of them means, and its role in the balance. Everything else is derived.

Thresholds name these numbers before a run begins, so this module imports nothing that talks to a server.
"""

from dataclasses import astuple, dataclass, field, fields, replace
from enum import Enum, auto
from typing import Any


class Role(Enum):
    """What a number contributes to the balance of the account."""

    ORIGIN = auto()
    """How records came to be stored."""

    FATE = auto()
    """What became of them; the account is even if all origins are as many as all fates."""

    HARM = auto()
    """What must be zero."""

    NOTE = auto()
    """What is reported and proves no fault."""


def counted(role: Role, meaning: str) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Declare a number that begins at zero."""
    return field(default=0, metadata={"role": role, "meaning": meaning})


@dataclass(slots=True)
class Tally:
    """What is counted; all numbers are records, except `partial`, which counts batches."""

    created: int = counted(Role.ORIGIN, "inserts that the server acknowledged")
    recovered: int = counted(Role.ORIGIN, "found stored, though their insert was never acknowledged")
    deleted: int = counted(Role.FATE, "deletions that the server acknowledged")
    unconfirmed: int = counted(Role.FATE, "absent after a deletion that was requested and never confirmed")
    remaining: int = counted(Role.FATE, "still stored at the end")
    lost: int = counted(Role.HARM, "acknowledged, and absent though this run never requested their deletion")
    resurrected: int = counted(Role.HARM, "back after an acknowledged deletion")
    corrupt: int = counted(
        Role.HARM, "stored with another text than was sent, or under a uuid that this run never made"
    )
    duplicated: int = counted(Role.HARM, "deleted twice, or twice in one response")
    late: int = counted(Role.NOTE, "back because an insert without a response was served after the deletion; no fault")
    partial: int = counted(Role.NOTE, "batches seen in part while their insert was unknown; no fault")
    foreign: int = counted(Role.NOTE, "deleted, though inserted by others")
    stale: int = counted(Role.NOTE, "absent from a read, or in one, by mistake: a later one showed it; no fault")

    def total(self, role: Role) -> int:
        """Return the sum of the numbers with a role."""
        return sum(getattr(self, name) for name in FIELDS_BY_ROLE[role])

    @property
    def harmed(self) -> int:
        """Return how many records were not kept as they should have been."""
        return self.total(Role.HARM)

    @property
    def is_even(self) -> bool:
        """Return whether created + recovered = deleted + unconfirmed + remaining."""
        return self.total(Role.ORIGIN) == self.total(Role.FATE)

    @property
    def balances(self) -> bool:
        """Return whether every record was kept until it was deleted, once."""
        return self.is_even and not self.harmed

    @property
    def findings(self) -> "Tally":
        """Return this tally without its balance: what was harmed or noted."""
        balance = FIELDS_BY_ROLE[Role.ORIGIN] + FIELDS_BY_ROLE[Role.FATE]
        return replace(self, **dict.fromkeys(balance, 0))

    def merged(self, other: "Tally") -> "Tally":
        """Return what was counted here or there."""
        return Tally(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))

    def since(self, earlier: "Tally") -> "Tally":
        """Return what was counted after an earlier moment."""
        return Tally(*(now - before for now, before in zip(astuple(self), astuple(earlier), strict=True)))

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by name."""
        return {name: getattr(self, name) for name in ACCOUNT_FIELDS}


ACCOUNT_FIELDS = tuple(field.name for field in fields(Tally))
MEANINGS: dict[str, str] = {field.name: field.metadata["meaning"] for field in fields(Tally)}
FIELDS_BY_ROLE = {role: tuple(field.name for field in fields(Tally) if field.metadata["role"] is role) for role in Role}
