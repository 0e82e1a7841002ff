"""Which files hold rows, by their suffix: what the trainer reads, the page accepts and the terminal names."""

from __future__ import annotations

TEXTS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt")
"""Also as `.gz`. Their rows have a place in the file, and can be changed there."""
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
DATABASES = (".sqlite", ".sqlite3", ".db")
BINARIES = (".parquet", *WORKBOOKS, *DATABASES)
KINDS = (*TEXTS, *BINARIES)
SUFFIXES = (*KINDS, ".gz")
