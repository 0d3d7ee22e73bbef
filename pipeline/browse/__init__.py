"""Browse the database in Datasette: its start page, its tables, its questions."""
