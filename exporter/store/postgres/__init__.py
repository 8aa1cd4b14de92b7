"""The archive in PostgreSQL: fed from the outbox of the state, which stays the ledger of record.

Imported where `archive.url` is configured alone: psycopg2 takes longer to load than all of ours.
"""
