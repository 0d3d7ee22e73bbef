"""The history as Parquet files, for programs that analyse it: DuckDB, Polars, Spark and others."""

from pipeline.lake.dataset import Export, write_dataset

__all__ = ["Export", "write_dataset"]
