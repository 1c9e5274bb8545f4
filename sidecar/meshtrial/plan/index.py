"""Experiments by what they ask of a request, so that a request is held against few of them.

Each experiment is filed once, under the one exact thing that the fewest others ask for too: its route, its
host, the beginning of its path, or a header's values, which its match or its audience names. A request looks
up what it has.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from meshtrial.plan.overlap import wanted_of
from meshtrial.plan.traffic import Audience, Carrier, Match


class Matching(Protocol):
    """What can be filed."""

    @property
    def match(self) -> Match:
        """Which requests it sees."""

    @property
    def audience(self) -> Audience:
        """Which of those take part."""


_T = TypeVar("_T", bound=Matching)
_Filed = Mapping[str, tuple[tuple[int, _T], ...]]
_ROUTE, _HOST, _PATH = ":route", ":host", ":path"
"""Kinds of key besides headers, whose names hold no colon."""


@dataclass(frozen=True, slots=True)
class Index(Generic[_T]):
    """Entries by route, host, header and path; built by `index_of`."""

    routes: _Filed[_T]
    hosts: _Filed[_T]
    headers: Mapping[str, Mapping[bytes, tuple[tuple[int, _T], ...]]]
    """By lower-case name and value."""
    prefixes: _Filed[_T]
    lengths: tuple[int, ...]
    """Of the prefixes, each once, ascending."""
    anywhere: tuple[tuple[int, _T], ...]
    """Of those that ask for none of these."""

    def candidates(
        self, route: str, host: str, path: str, headers: Mapping[str, Sequence[bytes]]
    ) -> list[_T]:
        """A superset of the entries whose match and audience hold, each once, in the order of filing.

        Args:
            route: The proxy's route name.
            host: The authority in lower case, without its port.
            path: As received.
            headers: All values of each header by lower-case name. One that was sent twice has equal values
                or takes part in nothing, so the first one tells.
        """
        found = [*self.anywhere, *self.routes.get(route, ())]
        if self.hosts:
            found += self.hosts.get(host, ())
        for name in self.headers.keys() & headers.keys() if self.headers else ():
            if values := headers[name]:
                found += self.headers[name].get(values[0], ())
        for length in self.lengths:
            if length > len(path):
                break
            found += self.prefixes.get(path[:length], ())
        if len(found) > 1:
            found.sort(key=_position)
        return [entry for _, entry in found]


def _position(filed: tuple[int, _T]) -> int:
    return filed[0]


def index_of(entries: Iterable[_T]) -> Index[_T]:
    """File entries; candidates come in the order given here."""
    filed = [(number, entry, _keys(entry)) for number, entry in enumerate(entries)]
    asked = Counter(
        (kind, value) for _, _, keys in filed for kind, values in keys.items() for value in values
    )
    by_kind: dict[str, dict[str, list[tuple[int, _T]]]] = {}
    anywhere: list[tuple[int, _T]] = []
    for number, entry, keys in filed:
        if not keys:
            anywhere.append((number, entry))
            continue
        kind = min(keys, key=lambda kind: max((asked[kind, value] for value in keys[kind]), default=0))
        for value in keys[kind]:
            by_kind.setdefault(kind, {}).setdefault(value, []).append((number, entry))
    routes, hosts, prefixes = (_frozen(by_kind.pop(kind, {})) for kind in (_ROUTE, _HOST, _PATH))
    headers = {
        name: {value.encode(): tuple(found) for value, found in by_value.items()}
        for name, by_value in by_kind.items()
    }
    lengths = tuple(sorted({len(prefix) for prefix in prefixes}))
    return Index(routes, hosts, headers, prefixes, lengths, tuple(anywhere))


def _keys(entry: Matching) -> dict[str, frozenset[str]]:
    """What an entry can be filed under: of each kind all values that it takes."""
    match = entry.match
    exact = {_ROUTE: match.route, _HOST: match.host, _PATH: match.path_prefix}
    keys = {kind: frozenset([value]) for kind, value in exact.items() if value is not None}
    wanted = wanted_of(match, entry.audience).finite
    keys |= {source.name: values for source, values in wanted.items() if source.carrier is Carrier.HEADER}
    return keys


def _frozen(filed: Mapping[str, Sequence[tuple[int, _T]]]) -> _Filed[_T]:
    return {key: tuple(found) for key, found in filed.items()}
