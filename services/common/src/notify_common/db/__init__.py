"""One database per context: engine, unit of work, migrations."""
