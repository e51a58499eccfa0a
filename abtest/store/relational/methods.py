"""Functions on a connection as methods of a store."""

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from abtest.store.relational.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")


class Transactions(Protocol):
    """Runs functions on its connections."""

    async def read(self, function: Callable[Concatenate[Any, P], T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """What the function returns for one snapshot of the database."""
        ...

    async def write(self, function: Callable[Concatenate[Any, P], T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """What the function returns, after its transaction is durable."""
        ...

    async def write_figures(
        self, function: Callable[Concatenate[Any, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The same, while no other process changes the figures."""
        ...


def reading(
    function: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate[Transactions, P], Coroutine[Any, Any, T]]:
    """A method that returns what the function returns for one snapshot of the database."""

    async def method(store: Transactions, /, *arguments: P.args, **named: P.kwargs) -> T:
        return await store.read(function, *arguments, **named)

    update_wrapper(method, function)
    return method


def writing(
    function: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate[Transactions, P], Coroutine[Any, Any, T]]:
    """A method that runs the function in a transaction, and returns once that is durable."""

    async def method(store: Transactions, /, *arguments: P.args, **named: P.kwargs) -> T:
        return await store.write(function, *arguments, **named)

    update_wrapper(method, function)
    return method


def writing_figures(
    function: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate[Transactions, P], Coroutine[Any, Any, T]]:
    """The same, while no other process changes the figures."""

    async def method(store: Transactions, /, *arguments: P.args, **named: P.kwargs) -> T:
        return await store.write_figures(function, *arguments, **named)

    update_wrapper(method, function)
    return method
