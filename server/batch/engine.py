"""An engine for Splink: DuckDB in this process, or the Spark that this machine is configured for.

Both get our comparison functions under the names that `splink_settings` uses in its conditions.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import tempfile
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from server.linkage.blocking import blocking_keys
from server.linkage.candidates import CHILDREN_PER_KEY_MAX
from server.linkage.levels import COMPARISONS
from server.linkage.model import Model, TermFrequencies
from server.linkage.splink_settings import NEAR, function_name
from server.linkage.splink_table import FIELDS, Levels, Near, Row, rows
from server.linkage.standardise import Record

DUCKDB, SPARK = "duckdb", "spark"
ENGINES: Final = {DUCKDB: ("splink", "duckdb", "pyarrow"), SPARK: ("splink", "pyspark", "pyarrow")}
EXTRAS: Final = {DUCKDB: "train", SPARK: "spark"}
TABLE_ROWS_MAX = 20_000  # rows turned into columns at a time, at about 3 KB a row
DUCKDB_MEMORY = "3GB"  # what it may hold beside the tables; beyond that it works on disk


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
def opened(engine: str, model: Model) -> Iterator[Engine]:
    """The engine with our functions, for comparisons in the light of this model's counts of names."""
    need(engine)
    logging.getLogger("splink").setLevel(logging.ERROR)
    # What does not fit into memory is about children: a folder for this account alone, gone at the end.
    with tempfile.TemporaryDirectory(prefix="earlysign-") as folder:
        made: Engine = _Duck(model, folder) if engine == DUCKDB else _Spark(model)
        try:
            yield made
        finally:
            made.close()


class Engine(ABC):
    """What is needed of an engine: tables in, Splink's `DatabaseAPI` over them."""

    api: Any

    def table(self, name: str, records: Sequence[Record]) -> Any:
        """Register records as a table of Splink's."""
        return self._register(name, _arrow(rows(records, too_common(records))))

    @abstractmethod
    def _register(self, name: str, table: Any) -> Any:
        """Hand a table of Arrow's to the engine."""

    @abstractmethod
    def close(self) -> None:
        """Give back what was opened."""


class _Duck(Engine):
    def __init__(self, model: Model, folder: str) -> None:
        import duckdb
        from splink import DuckDBAPI

        self.connection = duckdb.connect(
            config={
                "temp_directory": folder,
                "memory_limit": DUCKDB_MEMORY,
                "preserve_insertion_order": "false",
            }
        )
        # Our functions hold Python's lock, so that a second thread gains nothing, and one repeats its sums.
        self.connection.execute("SET threads = 1")
        self.connection.execute("SET enable_progress_bar = false")
        register_duckdb(self.connection, model.term_frequencies)
        self.connection.create_function(NEAR, Near(model), ["BLOB", "BLOB"], "BOOLEAN")
        self.api = DuckDBAPI(connection=self.connection)

    def _register(self, name: str, table: Any) -> Any:
        return self.api.register(table, dataset_display_name=name)

    def close(self) -> None:
        self.connection.close()


class _Spark(Engine):
    def __init__(self, model: Model) -> None:
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
        from pyspark.sql.types import BooleanType

        register_spark(self._session, model.term_frequencies)
        self._session.udf.register(NEAR, Near(model), BooleanType())
        self.api = SparkAPI(
            spark_session=self._session, break_lineage_method="persist", register_udfs_automatically=False
        )

    def _register(self, name: str, table: Any) -> Any:
        return self.api.register(self._session.createDataFrame(table), dataset_display_name=name)

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


def too_common(records: Iterable[Record]) -> frozenset[int]:
    """The blocking keys that more children have than a note would look up."""
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = array("q")
    for record in records:
        keys.extend(blocking_keys(record))
    counts = pc.value_counts(pa.Array.from_buffers(pa.int64(), len(keys), [None, pa.py_buffer(keys)]))
    over = pc.greater(counts.field("counts"), CHILDREN_PER_KEY_MAX)
    return frozenset(pc.filter(counts.field("values"), over).to_pylist())


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
