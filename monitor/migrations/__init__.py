"""The steps from one schema to the next, for Alembic; monitor/store/migrate.py runs them."""
