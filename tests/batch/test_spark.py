"""The same on Spark in local mode. `.ci/run` puts pyspark, which is large, into a folder of its own for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.batch.test_relinking import a_registry, proposed

pytestmark = pytest.mark.spark


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One small local Spark, whose settings come from the environment as on a cluster."""
    pytest.importorskip("pyspark")
    settings = (
        "--driver-memory 1g",
        "--conf spark.sql.shuffle.partitions=2",
        "--conf spark.default.parallelism=2",
    )
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", f"--master local[1] {' '.join(settings)} pyspark-shell")
    yield


@pytest.mark.filterwarnings("default")
def test_spark_proposes_the_same_pairs_as_duckdb(local: None) -> None:
    records, _ = a_registry(400, 60)
    by_duckdb = {(p.left, p.right): p for p in proposed(records)}
    by_spark = {(p.left, p.right): p for p in proposed(records, "spark")}
    assert by_spark.keys() == by_duckdb.keys() and by_spark
    for key, pair in by_spark.items():
        assert pair.proposal == by_duckdb[key].proposal
        assert pair.splink_probability == pytest.approx(by_duckdb[key].splink_probability, abs=1e-6)
