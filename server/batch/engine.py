"""An engine for Splink: DuckDB in this process, or the Spark that this machine is configured for.

Both get our comparison functions under the names that `splink_settings` uses in its conditions.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from server.linkage.levels import COMPARISONS
from server.linkage.model import TermFrequencies
from server.linkage.splink_settings import function_name
from server.linkage.splink_table import FIELDS, Levels, Row

DUCKDB, SPARK = "duckdb", "spark"
ENGINES: Final = {DUCKDB: ("splink", "duckdb", "pyarrow"), SPARK: ("splink", "pyspark", "pyarrow")}
EXTRAS: Final = {DUCKDB: "train", SPARK: "spark"}
TABLE_ROWS_MAX = 100_000  # rows turned into columns at a time


class BatchError(Exception):
    """The work cannot be done: one line, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def need(engine: str) -> None:
    """Raises BatchError unless the packages of this engine are installed."""
    if any(importlib.util.find_spec(name) is None for name in ENGINES[engine]):
        extra = EXTRAS[engine]
        raise BatchError(f"The extra {extra} is not installed.", f"pip install 'earlysign[{extra}]'")


@contextmanager
def opened(engine: str, counts: TermFrequencies) -> Iterator[Engine]:
    """The engine with our functions, for comparisons in the light of these counts of names."""
    need(engine)
    logging.getLogger("splink").setLevel(logging.ERROR)
    made: Engine = _Duck(counts) if engine == DUCKDB else _Spark(counts)
    try:
        yield made
    finally:
        made.close()


class Engine:
    """What is needed of an engine: tables in, Splink's `DatabaseAPI` over them."""

    api: Any

    def table(self, name: str, rows: Iterable[Row]) -> Any:
        """Register rows as a table of Splink's."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what was opened."""
        raise NotImplementedError


class _Duck(Engine):
    def __init__(self, counts: TermFrequencies) -> None:
        import duckdb
        from splink import DuckDBAPI

        self.connection = duckdb.connect()
        # Our functions hold Python's lock, so that a second thread gains nothing, and one repeats its sums.
        self.connection.execute("SET threads = 1")
        self.connection.execute("SET enable_progress_bar = false")
        register_duckdb(self.connection, counts)
        self.api = DuckDBAPI(connection=self.connection)

    def table(self, name: str, rows: Iterable[Row]) -> Any:
        return self.api.register(_arrow(rows), dataset_display_name=name)

    def close(self) -> None:
        self.connection.close()


class _Spark(Engine):
    def __init__(self, counts: TermFrequencies) -> None:
        # Workers must run this very Python, or they would not find the functions.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
        from splink import SparkAPI

        builder = SparkSession.builder.appName("earlysign").config("spark.ui.enabled", "false")
        try:
            self._session = builder.getOrCreate()
        except (PySparkException, OSError) as error:
            raise BatchError(
                f"Spark did not start ({type(error).__name__}).",
                "It needs Java 17 (openjdk-17-jre-headless) and the settings of SPARK_CONF_DIR, if any.",
            ) from None
        self._session.sparkContext.setLogLevel("ERROR")
        register_spark(self._session, counts)
        self.api = SparkAPI(
            spark_session=self._session, break_lineage_method="persist", register_udfs_automatically=False
        )

    def table(self, name: str, rows: Iterable[Row]) -> Any:
        return self.api.register(self._session.createDataFrame(_arrow(rows)), dataset_display_name=name)

    def close(self) -> None:
        self._session.stop()


def register_duckdb(connection: Any, counts: TermFrequencies) -> None:
    """Give a DuckDB connection our comparison functions, as a trained model's conditions call them."""
    levels = Levels(counts)
    for at, comparison in enumerate(COMPARISONS):
        name = function_name(comparison.name)
        connection.create_function(name, levels.function(at), ["BLOB", "BLOB"], "VARCHAR")


def register_spark(session: Any, counts: TermFrequencies) -> None:
    """Give a Spark session our comparison functions. `earlysign` must be installed where its workers run."""
    from pyspark.sql.types import StringType

    levels = Levels(counts)
    for at, comparison in enumerate(COMPARISONS):
        session.udf.register(function_name(comparison.name), levels.function(at), StringType())


def _arrow(rows: Iterable[Row]) -> Any:
    import pyarrow as pa

    schema = pa.schema(
        [("unique_id", pa.int64()), ("record", pa.binary()), ("keys", pa.list_(pa.int64()))]
        + [(name, pa.string()) for name in FIELDS]
    )
    batches, held = [], []
    for row in rows:
        held.append(row)
        if len(held) >= TABLE_ROWS_MAX:
            batches.append(pa.RecordBatch.from_pylist(held, schema))
            held = []
    batches.append(pa.RecordBatch.from_pylist(held, schema))
    return pa.Table.from_batches(batches, schema)
