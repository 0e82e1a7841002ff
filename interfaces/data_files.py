"""The suffixes of data files that the trainer reads, the page accepts, and the terminal lists."""

from __future__ import annotations

TEXTS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt")
"""Also with `.gz`. Their rows have an offset in the file, so they can be edited in place."""
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
DATABASES = (".sqlite", ".sqlite3", ".db")
BINARIES = (".parquet", *WORKBOOKS, *DATABASES)
KINDS = (*TEXTS, *BINARIES)
SUFFIXES = (*KINDS, ".gz")
