"""The query language: PromQL over any source of series. Pure: it computes with numpy and touches nothing else."""

from promql.engine import Engine
from promql.error import QueryError
from promql.parse import Query, parse
from promql.source import SeriesSource
from promql.value import Matrix, RawMatrix, Result, Scalar, String, Vector

__all__ = [
    "Engine",
    "Matrix",
    "Query",
    "QueryError",
    "RawMatrix",
    "Result",
    "Scalar",
    "SeriesSource",
    "String",
    "Vector",
    "parse",
]
