-- Run once by the image, as superuser, when the data directory is new. Sidestream itself never logs in as superuser.
-- `sidestream_owner` owns the database; it is not named like the schema `sidestream`, which would then come first on its
-- search path. CREATEROLE lets it make the login role that only reads (sidestream db viewer), and since PostgreSQL 16
-- gives it power over no role but those it made. Passwords come from the environment and are kept as SCRAM verifiers.
\set ON_ERROR_STOP on
\getenv sidestream_password SIDESTREAM_DB_PASSWORD
\getenv prefect_password PREFECT_DB_PASSWORD

CREATE ROLE sidestream_owner LOGIN CREATEROLE PASSWORD :'sidestream_password';
CREATE ROLE prefect LOGIN PASSWORD :'prefect_password';
CREATE ROLE sidestream_viewer NOLOGIN;
GRANT sidestream_viewer TO sidestream_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;

CREATE DATABASE sidestream OWNER sidestream_owner;
CREATE DATABASE prefect OWNER prefect TEMPLATE template0;
REVOKE ALL ON DATABASE sidestream, prefect FROM PUBLIC;
GRANT CONNECT ON DATABASE sidestream TO sidestream_viewer;

\connect sidestream
-- Only a superuser may add it on every PostgreSQL; with it readings lie in a hypertable, without it in plain partitions.
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') AS has_timescale \gset
\if :has_timescale
    CREATE EXTENSION IF NOT EXISTS timescaledb;
\endif
