"""Experiments by what their matches ask for, so that a request is held against few of them.

Each experiment is filed once, under the most selective exact thing that its match names. A request looks
up what it has: its route, host, each header that some match names, and the beginnings of its path.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from meshtrial.plan.traffic import Match


class Matching(Protocol):
    """What can be filed."""

    @property
    def match(self) -> Match:
        """Which requests take part."""


_T = TypeVar("_T", bound=Matching)
_Filed = Mapping[str, tuple[tuple[int, _T], ...]]


@dataclass(frozen=True, slots=True)
class Index(Generic[_T]):
    """Entries by route, host, header and path; built by `index_of`."""

    routes: _Filed[_T]
    hosts: _Filed[_T]
    headers: Mapping[str, Mapping[bytes, tuple[tuple[int, _T], ...]]]
    """By lower-case name and value."""
    prefixes: _Filed[_T]
    lengths: tuple[int, ...]
    """Of the prefixes, each once."""
    anywhere: tuple[tuple[int, _T], ...]
    """Of matches that name none of these."""

    def candidates(
        self, route: str, host: str, path: str, headers: Mapping[str, Sequence[bytes]]
    ) -> list[_T]:
        """A superset of the entries whose match holds, each once, in the order they were filed in."""
        found = [*self.anywhere, *self.routes.get(route, ())]
        if self.hosts:
            found += self.hosts.get(host, ())
        for name, by_value in self.headers.items():
            values = headers.get(name)
            if values:
                found += by_value.get(values[0], ())
        for length in self.lengths:
            found += self.prefixes.get(path[:length], ())
        if len(found) > 1:
            found.sort(key=_position)
        return [entry for _, entry in found]


def _position(filed: tuple[int, _T]) -> int:
    return filed[0]


def index_of(entries: Iterable[_T]) -> Index[_T]:
    """File entries; candidates come in the order given here."""
    routes: dict[str, list[tuple[int, _T]]] = {}
    hosts: dict[str, list[tuple[int, _T]]] = {}
    headers: dict[str, dict[bytes, list[tuple[int, _T]]]] = {}
    prefixes: dict[str, list[tuple[int, _T]]] = {}
    anywhere: list[tuple[int, _T]] = []
    for filed in enumerate(entries):
        match = filed[1].match
        if match.route is not None:
            routes.setdefault(match.route, []).append(filed)
        elif match.headers:
            name, value = match.headers[0]
            headers.setdefault(name, {}).setdefault(value.encode(), []).append(filed)
        elif match.path_prefix is not None:
            prefixes.setdefault(match.path_prefix, []).append(filed)
        elif match.host is not None:
            hosts.setdefault(match.host, []).append(filed)
        else:
            anywhere.append(filed)
    return Index(
        _frozen(routes),
        _frozen(hosts),
        {name: {value: tuple(found) for value, found in by.items()} for name, by in headers.items()},
        _frozen(prefixes),
        tuple(sorted({len(prefix) for prefix in prefixes})),
        tuple(anywhere),
    )


def _frozen(filed: Mapping[str, Sequence[tuple[int, _T]]]) -> _Filed[_T]:
    return {key: tuple(found) for key, found in filed.items()}
