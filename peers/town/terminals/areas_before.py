"""The areas of a town that is opened again: those that it had before, with the books they had."""

from __future__ import annotations

import msgspec

from peers.errors import SettingsError
from peers.town.files.directory import Directory
from peers.town.machines.addresses import can_be_reached
from peers.town.plan.areas import OWN, AreaPlan
from peers.town.plan.options import RunOptions


def with_areas(options: RunOptions, directory: Directory) -> RunOptions:
    """Returns the options with the areas that the town in `directory` is to have: those it had, and those asked for
    beside them.

    SettingsError for a town with one post that is to have several from now on, or the other way round, and for books
    that are elsewhere than where the area's were."""
    before = {} if options.fresh else {area.area_name: _plan_of(area) for area in directory.areas() if area.area_name}
    if not before:
        if options.areas and not options.fresh and (directory.has_private_books() or directory.has_journals()):
            raise SettingsError(
                f"the books in {directory.path} are those of a town with one post: choose another --dir for one with "
                "areas, or begin anew with --fresh"
            )
        _check_own(options.areas, options)
        return options
    wanted = dict(before)
    for area in options.areas:
        known = before.get(area.name)
        if known is None or (area.books and not _is_known(directory.area(area.name))):
            wanted[area.name] = area
        elif area.books and area.books != known.books:
            raise SettingsError(
                f"--area {area.name}: its books are elsewhere already; leave out where they are to be"
            )
    areas = tuple(wanted.values())
    _check_own(areas, options)
    return msgspec.structs.replace(options, areas=areas)


def _is_known(area: Directory) -> bool:
    """Whether anything here says where the area's books were; else whoever opens the town may say it."""
    return area.read_town() is not None or area.has_private_books()


def _plan_of(area: Directory) -> AreaPlan:
    state = area.read_town()
    whose = state.books if state is not None else OWN if area.has_private_books() else "town"
    address = state.mongo_uri if state is not None and whose == "given" else ""
    return AreaPlan(name=area.area_name, books=OWN if whose == "own" else address)


def _check_own(areas: tuple[AreaPlan, ...], options: RunOptions) -> None:
    for area in areas:
        if area.books == OWN and can_be_reached(options.host):
            raise SettingsError(
                f"--area {area.name}={OWN}: a database of its own is run on loopback only; for a town of several "
                f"machines start one yourself, and give its address: --area {area.name}=mongodb://…"
            )
