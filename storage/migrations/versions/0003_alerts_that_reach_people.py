"""Alerts that reach people: silences, groups, channels, actions, incidents with a timeline."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ack_links",
        sa.Column("link_hash", sa.String(), nullable=False),
        sa.Column("alerts", sa.JSON(), nullable=False),
        sa.Column("expires_ms", sa.Integer(), nullable=False),
        sa.Column("used_ms", sa.Integer(), nullable=True),
        sa.Column("used_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("link_hash"),
    )
    op.create_table(
        "actions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("started_ms", sa.Integer(), nullable=False),
        sa.Column("ended_ms", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("helped", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("actions_alert", "actions", ["alert"], unique=False)
    op.create_index("actions_started", "actions", ["started_ms"], unique=False)
    op.create_table(
        "channels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "dispatch_groups",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("members", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("next_ms", sa.Integer(), nullable=False),
        sa.Column("flushed_ms", sa.Integer(), nullable=True),
        sa.Column("escalation", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "dispatch_log",
        sa.Column("group_key", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("firing", sa.JSON(), nullable=False),
        sa.Column("resolved", sa.JSON(), nullable=False),
        sa.Column("time_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("group_key", "channel"),
    )
    op.create_table(
        "incident_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident", sa.Integer(), nullable=False),
        sa.Column("time_ms", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("incident_entries_incident", "incident_entries", ["incident", "time_ms"], unique=False)
    op.create_table(
        "maintenance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("matchers", sa.JSON(), nullable=False),
        sa.Column("intervals", sa.JSON(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "rule_texts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("time_ms", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("matchers", sa.JSON(), nullable=False),
        sa.Column("starts_ms", sa.Integer(), nullable=False),
        sa.Column("ends_ms", sa.Integer(), nullable=False),
        sa.Column("updated_ms", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("silences_ends", "silences", ["ends_ms"], unique=False)
    op.add_column("alerts", sa.Column("source", sa.String(), server_default="rules", nullable=False))
    op.add_column("alerts", sa.Column("ended_by", sa.String(), nullable=True))
    op.add_column("alerts", sa.Column("no_data_ms", sa.Integer(), nullable=True))
    op.add_column("alerts", sa.Column("flaps", sa.Integer(), server_default="0", nullable=False))
    op.add_column("alerts", sa.Column("streak", sa.Integer(), server_default="0", nullable=False))
    op.add_column("alerts", sa.Column("ends_ms", sa.Integer(), nullable=True))
    op.add_column("alerts", sa.Column("generator_url", sa.Text(), nullable=True))
    op.add_column("alerts", sa.Column("incident", sa.Integer(), nullable=True))
    op.create_index("alerts_fingerprint", "alerts", ["fingerprint", "firing_ms"], unique=False)
    op.create_index("alerts_incident", "alerts", ["incident"], unique=False)
    op.add_column("incidents", sa.Column("level", sa.Integer(), server_default="3", nullable=False))
    op.add_column("incidents", sa.Column("detected_ms", sa.Integer(), nullable=True))
    op.add_column("incidents", sa.Column("acknowledged_ms", sa.Integer(), nullable=True))
    op.add_column("incidents", sa.Column("outage", sa.Integer(), nullable=True))
    op.add_column("incidents", sa.Column("over_ms", sa.Integer(), nullable=True))
    op.create_index("incidents_outage", "incidents", ["outage"], unique=False)
    # What was over before stays as it is: each stretch for itself, and alerts that belong to none.
    op.execute("UPDATE incidents SET outage = id, over_ms = ended_ms WHERE ended_ms IS NOT NULL")
    op.execute("UPDATE alerts SET incident = 0 WHERE state = 'resolved'")
    op.add_column("outbox", sa.Column("message", sa.JSON(), nullable=True))
    op.add_column("outbox", sa.Column("group_key", sa.String(), nullable=True))
    op.add_column("outbox", sa.Column("attempt_ms", sa.Integer(), nullable=True))
    op.create_index("outbox_channel", "outbox", ["channel", "state"], unique=False)
