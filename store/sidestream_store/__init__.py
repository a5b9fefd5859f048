"""PostgreSQL behind named views: migrations, ledger, telemetry, twin states. The only package that imports psycopg."""
