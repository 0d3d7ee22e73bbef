-- ## Changes | by model and field | changes
/* model_changes.sql: id = :id */
