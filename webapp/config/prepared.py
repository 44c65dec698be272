"""Queries that Django's ORM builds once, and that are then asked again and again with other values.

To build a query and write its SQL takes the ORM several times as long as the database takes to answer it. With fifty
people at work that was most of what a picture or an event of review took in its thread, so what each of them asks is
prepared: the builder is called once, with places in place of values, and the SQL is kept. Postgres keeps it too, parsed
and planned, in each connection: what of such an answer's time remained was mostly that.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import lru_cache, update_wrapper
from types import SimpleNamespace
from typing import Any, Generic, ParamSpec, TypeVar

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import BigIntegerField, DateTimeField, Expression, Field, QuerySet, TextField
from django.db.models.sql.compiler import SQLCompiler

Asked = ParamSpec("Asked")
Row = TypeVar("Row")

FIELDS: dict[str, Callable[[], Field[Any, Any]]] = {
    "int": BigIntegerField, "str": TextField, "datetime": DateTimeField}
"""The kinds of values, as they are annotated, and how each is handed to the database."""
SHAPES_AT_MOST = 256
LARGEST = BigIntegerField.MAX_BIGINT


class Place(Expression):
    """Where a value will be: an expression, so that lookups, subqueries and annotations take it as they take a value.

    Args:
        name: of the value.
        field: how it is handed to the database.
    """

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        """Write a placeholder, and itself among the parameters."""
        return "%s", [self]


class Prepared(Generic[Row]):
    """A query whose SQL is written, with places among its parameters."""

    def __init__(self, queryset: QuerySet[Any, Row]) -> None:
        self._queryset = queryset
        self._compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        try:
            self._sql, self._parameters = self._compiler.as_sql()
        except EmptyResultSet:  # the ORM knows without the database that there is nothing, as of a slice of nothing
            self._sql, self._parameters = "", ()
        self._compiler.connection = None  # it is this thread's, and would be kept from being closed with it

    def ask(self, values: dict[str, Any]) -> list[Row]:
        """Return the rows, as the queryset would give them, with `values` by the names of their places.

        A number that no column can hold is found nowhere, and so is a text that Postgres cannot.
        """
        if not self._sql or any(map(_is_held_by_no_column, values.values())):
            return []
        connection = connections[DEFAULT_DB_ALIAS]
        parameters = tuple(one.output_field.get_db_prep_value(values[one.name], connection)
                           if isinstance(one, Place) else one for one in self._parameters)
        compiler = copy.copy(self._compiler)
        compiler.connection = _Preparing(connection)  # each thread has its own
        compiler.as_sql = lambda *_, **__: (self._sql, parameters)  # type: ignore[method-assign]
        asked = SimpleNamespace(db=DEFAULT_DB_ALIAS, query=_Written(self._queryset.query, compiler),
                                model=self._queryset.model, _fields=self._queryset._fields,  # type: ignore[attr-defined]
                                _known_related_objects={}, _hints={})
        return list(self._queryset._iterable_class(asked))  # type: ignore[attr-defined]


def _is_held_by_no_column(value: object) -> bool:
    return (isinstance(value, int) and abs(value) > LARGEST) or (isinstance(value, str) and "\0" in value)


class _Preparing:
    """A connection whose cursors let the database prepare what they execute, if it is Postgres; all else is as it was.

    Django's cursors write the values into the SQL, so that Postgres parses and plans each query anew. Those of psycopg
    send them beside it; they are used here alone, for not all that Django writes can be asked so (its ticket 20516).
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> Any:
        made = self._connection.cursor()
        if self._connection.vendor == "postgresql":
            made.cursor = psycopg.Cursor(self._connection.connection)
        return made


class _Written:
    """A query that is compiled already; all else about it is as it was."""

    def __init__(self, query: Any, compiler: SQLCompiler) -> None:
        self._query = query
        self._compiler = compiler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._query, name)

    def get_compiler(self, *_: Any, **__: Any) -> SQLCompiler:
        return self._compiler


def prepared(build: Callable[Asked, QuerySet[Any, Row]]) -> Callable[Asked, list[Row]]:
    """Return the function that asks what `build` builds; it answers with a list of the queryset's rows.

    Args:
        build: returns a queryset. Its positional-only arguments are values, of a kind in `FIELDS` each: it is handed a
            `Place` for each, and may only pass it on to the queryset. Its keyword-only arguments shape the query, like
            an order or a page; for each combination, `SHAPES_AT_MOST` at a time, it is called once.
    """
    known = inspect.signature(build).parameters.values()
    places: list[Any] = [Place(one.name, FIELDS[one.annotation]()) for one in known
                         if one.kind is inspect.Parameter.POSITIONAL_ONLY]

    @lru_cache(SHAPES_AT_MOST)
    def shaped(**shape: Any) -> Prepared[Row]:
        return Prepared(build(*places, **shape))  # type: ignore[call-arg, arg-type]

    def ask(*values: Any, **shape: Any) -> list[Row]:
        return shaped(**shape).ask({place.name: value for place, value in zip(places, values, strict=True)})

    return update_wrapper(ask, build)  # type: ignore[return-value]
