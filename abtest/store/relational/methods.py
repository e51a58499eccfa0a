"""Functions on a connection as methods of a store."""

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

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

    async def write_all(
        self, function: Callable[Concatenate[Any, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The same for a function that changes both what decides about devices and the figures."""
        ...

    async def note(self, function: Callable[Concatenate[Any, P], T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """The same for a function that decides about no device: it need not wait for functions that do."""
        ...


Function = Callable[Concatenate[Any, P], T]
Method = Callable[Concatenate[Transactions, P], Coroutine[Any, Any, T]]


def reading(function: Function[P, T]) -> Method[P, T]:
    """A method that returns what the function returns for one snapshot of the database."""
    return _method(function, "read")


def writing(function: Function[P, T]) -> Method[P, T]:
    """A method that runs the function in a transaction, and returns once that is durable."""
    return _method(function, "write")


def writing_figures(function: Function[P, T]) -> Method[P, T]:
    """The same, while no other process changes the figures."""
    return _method(function, "write_figures")


def noting(function: Function[P, T]) -> Method[P, T]:
    """The same for a function that decides about no device."""
    return _method(function, "note")


def _method(function: Function[P, T], transaction: str) -> Method[P, T]:
    async def method(store: Transactions, /, *arguments: P.args, **named: P.kwargs) -> T:
        given: T = await getattr(store, transaction)(function, *arguments, **named)
        return given

    update_wrapper(method, function)
    return method
