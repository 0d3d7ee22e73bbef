"""The database in a browser: Datasette configured and started, and a copy of the database to publish."""
