"""The steps from one schema to the next, run by alembic when a file is older than the program."""
