"""Files, folders, tables and streams as sequences of rows."""
