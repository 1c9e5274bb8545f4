"""Rows -> tables: what is recorded, on disk and read back."""
