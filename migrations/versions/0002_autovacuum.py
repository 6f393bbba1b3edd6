"""Vacuum early after deletions: dead rows at the head of the index slow down every first page."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SETTINGS = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "5000",
    "autovacuum_vacuum_cost_delay": "0",
    "autovacuum_analyze_scale_factor": "0.05",
    "vacuum_index_cleanup": "on",
    "vacuum_truncate": "off",
}
"""Vacuum after 5 000 deletions in a table of any size, at full speed, always with the index, and without a lock."""


def upgrade() -> None:
    """Apply this revision."""
    if op.get_context().dialect.name == "postgresql":
        values = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())
        op.execute(f"ALTER TABLE records SET ({values})")


def downgrade() -> None:
    """Take this revision back."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE records RESET ({', '.join(SETTINGS)})")
