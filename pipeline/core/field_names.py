"""Facts under the names that gateways use, in a record and in the usual objects inside it.

Names are compared without case and punctuation: `contextWindow` is `context_window`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pipeline.core.amounts import names_in, words
from pipeline.core.caches import cache_short
from pipeline.core.limits import MAX_NAME, MAX_NAMES
from pipeline.core.values import parse_date, parse_length, parse_names, parse_text, parse_timestamp

_PUNCTUATION = re.compile(r"[\W_]+")


class Names:
    """Plain names, the likeliest first."""

    def __init__(self, *names: str) -> None:
        self.rank = {name: rank for rank, name in enumerate(names)}
        self.all = self.rank.keys()


CONTAINERS = frozenset(
    names_in(
        "abilities architecture attributes capabilities constraints contextwindow details features"
        " functionality info limit limits meta metadata modalities modelinfo modellimits modelspec"
        " properties spec specs supports tokenlimits tokens topprovider"
    )
)
"""The objects in a record that hold facts of the model."""

_ABILITIES = frozenset(names_in("abilities capabilities features functionality supports"))
"""The objects whose flags are features."""

_ENDS = Names("deprecation", "lifecycle", "modellifecycle", "retirement", "sunset")
"""The objects that describe the end of a model."""

CONTEXT_LENGTH = Names(
    *names_in(
        "contextlength contextwindow contextsize contextwindowsize contextwindowtokens contexttokens"
        " contextlimit maxcontextlength maxcontextwindow maxcontextwindowtokens maxcontexttokens"
        " maxcontextsize maxcontext maxsequencelength maxseqlen maxmodellen maxpositionembeddings"
        " nctxtrain nctx numctx context ctx maxinputtokens maxtokensinput maxinputtokenlength"
        " maxpromptlength maxprompttokens inputtokenlimit maxinputlength availablecontexttokens"
    )
)
MAX_OUTPUT = Names(
    *names_in(
        "maxoutput maxoutputtokens maxcompletiontokens maxtokensoutput maxoutputlength"
        " maxoutputtokenlength outputtokenlimit maxgenerationtokens maxgeneratedtokens maxnewtokens"
    )
)
OWNED_BY = Names(
    *names_in(
        "ownedby owner developer developername provider providername vendor vendorname publisher author"
        " organization organisation modelcreator creator maker company lab"
    )
)
CREATED = Names(
    *names_in(
        "created createdat createdon createtime creationtime creationtimestamp creationdate released"
        " releasedat releasedate releasedon publishedat publishedon publishdate launchdate launchedat"
        " addedat dateadded"
    )
)
TYPE = Names(*names_in("modeltype tasktype pipelinetag"))
INPUT_MODALITIES = Names("inputmodalities", "supportedinputmodalities", "inputmodality")
OUTPUT_MODALITIES = Names("outputmodalities", "supportedoutputmodalities", "outputmodality")
FEATURES = Names("features", "supportedfeatures", "supportedparameters", "capabilities", "abilities")
ENDPOINTS = Names(
    *names_in(
        "supportedendpoints supportedendpointtypes endpointtypes supportedapis supportedmethods"
        " supportedoperations supportedgenerationmethods apis"
    )
)
LIFECYCLE = Names(
    *names_in(
        "lifecyclestatus lifecyclestage lifecyclestate lifecycle modellifecycle launchstage releasestage"
    )
)
DEPRECATED_AT = Names(
    *names_in(
        "shutdowndate shutdownat shutdowntime removaldate removalat removesat removedat retirementdate"
        " retirementat retiredate retireat retiresat retiredat sunsetdate sunsetat sunsetsat sunset"
        " eoldate eol endoflife endoflifedate endoflifeat endoflifetime endofservice endofsupport"
        " endofsupportdate discontinuedat discontinueddate discontinuationdate discontinueson"
        " decommissiondate decommissionedat decommissiondat withdrawaldate withdrawnat expirationdate"
        " expirydate deprecationdate deprecationat deprecatedat deprecateddate deprecatesat"
        " deprecationtime planneddeprecationdate deprecation phaseoutdate phaseoutat phaseout phasedoutat"
        " terminationdate terminatedat delistingdate deletiondate offlinedate offlineat offlinetime"
        " availableuntil availabletill supporteduntil supportuntil activeuntil validuntil validto"
        " enddate endsat endson"
    )
)
_MAX_TOKENS = Names("maxtokens")
_ARROW = Names("modality")
_END_DATES = ("date", "enddate", "at", "legacytime")
_STAGES = ("status", "stage", "state", "phase")

_VISION = frozenset(
    names_in(
        "vision supportsvision supportvision supportsimages supportsimage supportsimageinput"
        " supportsimagesinput supportsimagein imageinput hasvision isvision"
    )
)
_INPUT_FLAGS = {
    **dict.fromkeys(_VISION, "image"),
    **dict.fromkeys(("audioinput", "supportsaudioinput", "supportsaudio"), "audio"),
    **dict.fromkeys(("videoinput", "supportsvideoinput", "supportsvideo", "supportsvideoin"), "video"),
    **dict.fromkeys(("pdfinput", "supportspdfinput", "supportspdf"), "pdf"),
}
_FEATURE_FLAG = re.compile(r"^(?:supports?|can(?:_(?:do|be|use))?)(?:_|(?=[A-Z]))")
_STAGE_FLAGS = {
    **dict.fromkeys(("deprecated", "isdeprecated"), "deprecated"),
    **dict.fromkeys(("retired", "isretired"), "retired"),
    **dict.fromkeys(("archived", "isarchived"), "archived"),
    **dict.fromkeys(("legacy", "islegacy"), "legacy"),
}
_EARLY_FLAGS = {
    **dict.fromkeys(("preview", "ispreview"), "preview"),
    **dict.fromkeys(("beta", "isbeta"), "beta"),
}

_MODALITY = re.compile(r"^([a-z+]+)\s*->\s*([a-z+]+)$")


@cache_short(8192, MAX_NAME)
def plain(name: str) -> str:
    """Return a name in lower case without punctuation."""
    return _PUNCTUATION.sub("", name).lower()


class Fields:
    """The named values of a record: of itself, then of the objects in it that hold facts, two deep."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._objects = list(_objects(body))
        self._layout = _layout(tuple(named.names for _, named in self._objects))

    def first(self, parse: Callable[[Any], Any], names: Names) -> Any:
        """Return the first value of these names that can be parsed; None without one."""
        for place, name in self._layout.places(names):
            value = self._objects[place][1].original[name]
            found = None if value is None else parse(value)
            if found is not None and found != ():
                return found
        return None

    def context_length(self) -> int | None:
        """Return the context length in tokens."""
        found: int | None = self.first(parse_length, CONTEXT_LENGTH)
        return found

    def max_output(self, context_length: int | None) -> int | None:
        """Return the longest output in tokens; `max_tokens` is one only beside a longer context."""
        found: int | None = self.first(parse_length, MAX_OUTPUT) or self._in("limit", "limits", name="output")
        if found is None and context_length is not None:
            longest = self.first(parse_length, _MAX_TOKENS)
            found = longest if longest is not None and longest < context_length else None
        return found

    def _in(self, *containers: str, name: str) -> int | None:
        values = (named.get(name) for at, named in self._objects if at in containers)
        return next((found for value in values if (found := parse_length(value)) is not None), None)

    def owned_by(self) -> str | None:
        """Return the owner, developer or provider."""
        found: str | None = self.first(_name, OWNED_BY)
        return found

    def created(self) -> str | None:
        """Return when the model was created or released."""
        found: str | None = self.first(parse_timestamp, CREATED)
        return found

    def type(self) -> str | None:
        """Return the kind of model."""
        found: str | None = self.first(_short_text, TYPE)
        return found

    def input_modalities(self) -> tuple[str, ...]:
        """Return the modalities of inputs, from a list, `text+image->text`, `input:image`, or flags."""
        found = self._modalities(INPUT_MODALITIES, "input", 1)
        if found:
            return found
        if self._layout.present.isdisjoint(_INPUT_FLAGS):
            return ()
        flags = {
            _INPUT_FLAGS[name]
            for _, named in self._objects
            for name in named.names.keys() & _INPUT_FLAGS.keys()
            if _is_on(named.get(name))
        }
        return tuple(sorted({"text"} | flags)) if flags else ()

    def output_modalities(self) -> tuple[str, ...]:
        """Return the modalities of outputs."""
        return self._modalities(OUTPUT_MODALITIES, "output", 2)

    def _modalities(self, names: Names, side: str, group: int) -> tuple[str, ...]:
        found: tuple[str, ...] | None = self.first(parse_names, names)
        if found is None:
            inner = (named.get(side) for at, named in self._objects if at == "modalities")
            found = next((each for value in inner if (each := parse_names(value))), None)
        if found is None:
            arrow = self.first(
                lambda value: _MODALITY.match(value) if isinstance(value, str) else None, _ARROW
            )
            found = tuple(arrow[group].split("+")) if arrow else None
        if found is None:
            listed: tuple[str, ...] = self.first(parse_names, FEATURES) or ()
            found = tuple(name.partition(":")[2] for name in listed if name.startswith(f"{side}:"))
        return tuple(sorted({name.lower() for name in found if name}))

    def features(self) -> tuple[str, ...]:
        """Return the features: from a list, or flags: `supports_…`, and those of objects of abilities."""
        found: tuple[str, ...] | None = self.first(parse_names, FEATURES)
        if found:
            return found
        flags: set[str] = set()
        for at, named in self._objects:
            flags |= set(_flags(named.original, all_flags=at in _ABILITIES))
        return tuple(sorted(flags))

    def endpoints(self) -> tuple[str, ...]:
        """Return the endpoints."""
        return self.first(parse_names, ENDPOINTS) or ()

    def lifecycle(self, known: str | None) -> str | None:
        """Return the stage of a model: a flag that is an end, what is `known`, or another field."""
        end = self._flagged(_STAGE_FLAGS)
        if end and (known is None or known.lower() in _IN_USE):
            return end
        return known or self.first(_stage, LIFECYCLE) or self._flagged(_EARLY_FLAGS)

    def _flagged(self, stages: Mapping[str, str]) -> str | None:
        if self._layout.present.isdisjoint(stages):
            return None
        on = (
            stage for _, named in self._objects for name, stage in stages.items() if named.get(name) is True
        )
        return next(on, None)

    def deprecated_at(self) -> str | None:
        """Return the date of the announced end."""
        found: str | None = self.first(_end, DEPRECATED_AT)
        return found or self.first(_end, _ENDS)


_IN_USE = frozenset(names_in("active available enabled ga live normal ok online ready stable"))


@cache_short(512, MAX_NAMES)
def _names_by_plain(names: tuple[str, ...]) -> _ByPlain:
    """Return the names of an object by plain name; records of one list mostly have the same."""
    return _ByPlain((plain(name), name) for name in names)


class _ByPlain(dict[str, str]):
    """The names of an object by plain name; compared as an object, not by content."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__  # type: ignore[assignment]


class _Layout:
    """Where names are in the objects of a record; `present` are all plain names in them."""

    def __init__(self, objects: tuple[_ByPlain, ...]) -> None:
        self.present = frozenset[str]().union(*objects)
        self._objects = objects
        self._places: dict[Names, tuple[tuple[int, str], ...]] = {}

    def places(self, names: Names) -> tuple[tuple[int, str], ...]:
        """Return the names that are there, each with the number of its object, the likeliest first."""
        if names not in self._places:
            self._places[names] = tuple(
                (place, by_plain[name])
                for place, by_plain in enumerate(self._objects)
                for name in sorted(names.all & by_plain.keys(), key=names.rank.__getitem__)
            )
        return self._places[names]


def _layout(objects: tuple[_ByPlain, ...]) -> _Layout:
    """Return the layout of a record with these objects; records of one list mostly have the same."""
    return _Layout(objects) if any(len(each) > MAX_NAMES for each in objects) else _cached_layout(objects)


@lru_cache(512)
def _cached_layout(objects: tuple[_ByPlain, ...]) -> _Layout:
    return _Layout(objects)


class _Named:
    """The values of an object by plain name; `original` has its own names, `names` those by plain name."""

    __slots__ = ("names", "original")

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.names = _names_by_plain(tuple(value))
        self.original = value

    def get(self, name: str) -> Any:
        """Return the value of a plain name; None without one."""
        original = self.names.get(name)
        return None if original is None else self.original[original]


def _objects(body: Mapping[str, Any], at: str = "", depth: int = 2) -> Iterator[tuple[str, _Named]]:
    named = _Named(body)
    yield at, named
    if depth:
        for name, original in named.names.items():
            if name in CONTAINERS and isinstance(value := body[original], dict):
                yield from _objects(value, name, depth - 1)


def _name(value: Any) -> str | None:
    """Parse a name: a text, or an object with one."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("name", "display_name", "slug", "id") if value.get(key)), None)
    return _short_text(value)


def _short_text(value: Any) -> str | None:
    return parse_text(value) if isinstance(value, str) else None


def _stage(value: Any) -> str | None:
    if isinstance(value, dict):
        value = next((value[key] for key in _STAGES if value.get(key)), None)
    return _short_text(value)


def _end(value: Any) -> str | None:
    if isinstance(value, dict) and not {"year", "month", "day"} <= value.keys():
        named = _Named(value)
        dates = (parse_date(named.get(name)) for name in (*DEPRECATED_AT.rank, *_END_DATES))
        return next((found for found in dates if found), None)
    return parse_date(value)


def _is_on(value: Any) -> bool:
    return value is True or (isinstance(value, dict) and value.get("supported") is True)


def _flags(value: Mapping[str, Any], *, all_flags: bool) -> Iterator[str]:
    """Yield the features of the flags of an object: those called `supports_…`, or all of them."""
    names = tuple(value)
    found = _cached_flag_names if len(names) <= MAX_NAMES else _flag_names
    for name, feature in found(names, all_flags=all_flags):
        flag = value[name]
        if _is_on(flag):
            yield feature
        elif all_flags and isinstance(flag, dict):
            yield from ("_".join(words(inner)) or inner for inner, on in flag.items() if on is True)


def _flag_names(names: tuple[str, ...], *, all_flags: bool) -> tuple[tuple[str, str], ...]:
    """Return the names of an object that are flags, each with its feature."""
    found = []
    for name in names:
        prefix = _FEATURE_FLAG.match(name)
        if prefix or all_flags:
            found.append((name, "_".join(words(name[prefix.end() :] if prefix else name)) or name))
    return tuple(found)


_cached_flag_names = lru_cache(512)(_flag_names)
