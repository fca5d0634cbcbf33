"""All metrics of one process: those that are counted as things happen, and those that are read when somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

from observability.metrics.catalogue import CATALOGUE, MOST_SERIES, SERIES_DROPPED
from observability.metrics.instruments import Counter, Histogram, Labels, bounded
from observability.metrics.snapshot import Family, FamilySnapshot, Point

_log = logging.getLogger(__name__)

Reading: TypeAlias = Iterable[tuple[Labels, float]]
"""(labels, value) of each series."""
Instrument = TypeVar("Instrument", Counter, Histogram)


class Registry:
    """What `/metrics` and OTLP read. `wall`: seconds since the epoch."""

    def __init__(self, wall: Callable[[], float], *, most: int = MOST_SERIES) -> None:
        self._wall = wall
        self._most = most
        self._instruments: dict[str, Counter | Histogram] = {}
        self._readers: dict[str, tuple[Family, Callable[[], Reading]]] = {}
        self.started: Final = wall()

    def counter(self, family: Family) -> Counter:
        """A counter to be kept by whoever counts. ValueError if the family is taken already."""
        return self._add(Counter(family, self._most))

    def histogram(self, family: Family) -> Histogram:
        """As `counter`."""
        return self._add(Histogram(family, self._most))

    def read(self, family: Family, reader: Callable[[], Reading]) -> None:
        """Ask `reader`, in the event loop, whenever the series of `family` are wanted: it must be quick."""
        self._free(family)
        self._readers[family.name] = family, reader

    def snapshots(self) -> Iterator[FamilySnapshot]:
        """Every family that has an instrument or a reader, in the catalogue's order, each as it is when its turn comes:
        the event loop may do other work between two of them."""
        for family in CATALOGUE:
            points = self._points(family)
            if points is not None:
                yield FamilySnapshot(family, points, self.started, self._wall())

    def points(self, family: Family) -> tuple[Point, ...]:
        """One family as it is now; () if nobody counts or reads it."""
        return self._points(family) or ()

    def _points(self, family: Family) -> tuple[Point, ...] | None:
        if family is SERIES_DROPPED:
            dropped = [((one.family.name,), float(one.dropped)) for one in self._instruments.values() if one.dropped]
            return bounded(family, dropped)
        if (instrument := self._instruments.get(family.name)) is not None:
            return instrument.points()
        if (found := self._readers.get(family.name)) is None:
            return None
        try:
            return bounded(family, found[1](), self._most)
        except Exception as error:  # noqa: BLE001 - one that fails must not take the others along
            _log.exception("reading %s failed", family.name, exc_info=error)
            return ()

    def _add(self, instrument: Instrument) -> Instrument:
        self._free(instrument.family)
        self._instruments[instrument.family.name] = instrument
        return instrument

    def _free(self, family: Family) -> None:
        if family.name in self._instruments or family.name in self._readers:
            raise ValueError(f"{family.name} is counted already")
        if family not in CATALOGUE:
            raise ValueError(f"{family.name} is not in the catalogue")
