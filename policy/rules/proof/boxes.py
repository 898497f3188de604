"""Boxes over fixed dimensions, and the one question under every proof: is a point of a box in none of the earlier ones?

A box allows on each dimension some atoms, written as a bitmask; what it does not name it does not restrict. Rules are
unions of boxes, so "can rule 7 ever decide" asks for a point of its boxes outside of those before it.

The search subtracts boxes. Take the point of the piece at hand that the fewest boxes allow; if none holds it, it is the
answer. Otherwise some box does, and the piece without that box is cut into disjoint smaller pieces, one for each
dimension on which the box is open (does not allow all that the piece allows): none open, and the piece is covered; one
open, and there is nothing to branch on (unit propagation). Every point is in a piece until a box that holds it is
named, so an exhausted search is a proof, and the boxes that it named are a cover.

Two things keep this fast for thousands of rules. Sets of boxes are bits of one int, kept for each atom. And two-valued
dimensions (*flags*: markers in a text, of which there are as many as rules) rest at their first atom until a piece
names them; a box that this keeps out is filed under one of its flags, and seen again only when a piece names that one.
"""

from bisect import bisect_left
from collections import ChainMap, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, reduce
from itertools import islice
from operator import and_, or_, xor

from attrs import field, frozen

IMPOSSIBLE = -1  # the owner of combinations that do not occur
STEPS = 100_000
_WIDE_PIECE = 256  # restricted dimensions that count for one step more
_REMEMBERED = 10_000  # answers to each question that is asked of one dimension and mask
_LOOKED_AT = 64  # boxes at a time, where any would do and a good one is wanted
_TRIED = 4  # atoms of a dimension, for the point; fewer make for more steps, more for dearer ones
_FEW = 32  # atoms that are sooner sorted than found among all


class Undecided(Exception):
    """The search took all its steps and has no answer; one line says how many they were."""


@frozen
class Box:
    """For each dimension that it restricts the atoms it allows; an empty mask makes an empty box."""

    masks: Mapping[int, int] = field(factory=dict)

    @property
    def is_empty(self) -> bool:
        """Does no point lie in it?"""
        return 0 in self.masks.values()

    def __and__(self, other: "Box") -> "Box":
        """The points in both."""
        masks = dict(self.masks)
        for dimension, mask in other.masks.items():
            masks[dimension] = masks.get(dimension, mask) & mask
        return Box(masks)


@frozen
class Space:
    """How many atoms each dimension has."""

    sizes: tuple[int, ...]

    def full(self, dimension: int) -> int:
        """Return the mask of all atoms."""
        return (1 << self.sizes[dimension]) - 1

    def box(self, masks: Mapping[int, int]) -> Box:
        """Return the box without the masks that allow everything.

        Raises:
            ValueError: a dimension or an atom is outside the space.
        """
        kept = {}
        for dimension, mask in masks.items():
            if not 0 <= dimension < len(self.sizes):
                raise ValueError(f"there is no dimension `{dimension}`")
            full = self.full(dimension)
            if mask & ~full:
                raise ValueError(f"dimension `{dimension}` has only `{self.sizes[dimension]}` atoms")
            if mask != full:
                kept[dimension] = mask
        return Box(kept)


@frozen
class Claim:
    """A box that a rule (`owner`, its number) takes, or one that is `IMPOSSIBLE`."""

    owner: int
    box: Box


class Cover:
    """Lists of claimed boxes, asked what they leave free.

    With several lists (two versions of a file, say) each has its own limit, in the order given here. Number the rules
    of the lists apart where `hiding` is asked: it names owners only.
    """

    def __init__(self, space: Space, *lists: Iterable[Claim]) -> None:
        self._space = space
        self._masks: list[Mapping[int, int]] = []
        self._owners: list[int] = []
        self._lists: list[tuple[int, list[int]]] = []  # where each begins, its owners
        for claims in lists:
            kept = [(each.owner, space.box(each.box.masks).masks) for each in claims if not each.box.is_empty]
            kept.sort(key=lambda each: each[0])
            self._lists.append((len(self._masks), [owner for owner, _ in kept]))
            self._owners += self._lists[-1][1]
            self._masks += [masks for _, masks in kept]
        self._index = _Index(space, self._masks)
        self._claimed: dict[int, int] = defaultdict(int)
        for place, owner in enumerate(self._owners):
            self._claimed[owner] |= 1 << place

    def free(self, box: Box, *before: int, steps: int = STEPS) -> Box | None:
        """Return a part of `box` that no claim with an owner under `before`, and no impossible one, touches.

        Flags rest at their first atom where nothing speaks against it; the other dimensions are left as wide as the
        claims allow. The masks of the answer share memory with the cover: look up what is wanted, as going through all
        of them takes a step for every flag.

        Args:
            before: one limit for each list.
            steps: pieces to look at before giving up, wide ones counting for more.

        Returns:
            None: there is no such part, which is a proof.

        Raises:
            Undecided: the steps did not suffice.
        """
        found = _Search(self._index, steps).free(self._space.box(box.masks).masks, self._under(before))
        return None if found is None else Box(found)

    def hiding(self, box: Box, *before: int, steps: int = STEPS) -> tuple[int, ...]:
        """Return owners whose claims, with the impossible ones, cover `box`, of which none can be left out.

        Where the steps end before that is known of each, some may be more than is needed; they do cover.

        Raises:
            Undecided: the steps did not suffice to show that the box is covered.
            ValueError: it is not.
        """
        masks, among = self._space.box(box.masks).masks, self._under(before)
        search = _Search(self._index, steps)
        if search.free(masks, among) is not None:
            raise ValueError("box is not covered")
        core, needed = self._of_owners(search.used), set[int]()
        with suppress(Undecided):  # what is known to cover stays
            while untried := core - needed:
                last = max(untried)
                if search.free(masks, among & self._claims_of(core - {last})) is None:
                    core = self._of_owners(search.used)
                else:
                    needed.add(last)
        return tuple(sorted(core))

    def _under(self, before: Sequence[int]) -> int:
        if len(before) != len(self._lists):
            raise ValueError(f"`{len(self._lists)}` lists need as many limits, not `{len(before)}`")
        among = 0
        for (start, owners), limit in zip(self._lists, before, strict=True):
            among |= ((1 << bisect_left(owners, max(limit, 0))) - 1) << start
        return among

    def _of_owners(self, boxes: int) -> set[int]:
        return {self._owners[place] for place in _bits(boxes)} - {IMPOSSIBLE}

    def _claims_of(self, owners: Iterable[int]) -> int:
        return reduce(or_, map(self._claimed.__getitem__, owners), self._claimed[IMPOSSIBLE])


class _Axis:
    """One dimension: for each atom the set of the boxes that allow it.

    A box is written down for its minority only, the atoms it allows or those it does not; the rest is `_most`.
    """

    def __init__(self, size: int, everything: int, by_mask: Mapping[int, int]) -> None:
        self.full = (1 << size) - 1
        self.unrestricted = reduce(xor, by_mask.values(), everything)
        self._by_mask = by_mask
        self._most = self.unrestricted
        self._flips: dict[int, int] = defaultdict(int)
        for mask, boxes in by_mask.items():
            is_most = 2 * mask.bit_count() > size
            self._most |= boxes if is_most else 0
            for atom in _bits(self.full ^ mask if is_most else mask):
                self._flips[atom] |= boxes
        self._ranking = sorted(range(size), key=lambda atom: (self.allowing(atom).bit_count(), atom))
        self._rank = {atom: rank for rank, atom in enumerate(self._ranking)}

    def allowing(self, atom: int) -> int:
        """The boxes that allow `atom`."""
        return self._most ^ self._flips.get(atom, 0)

    def rarest(self, mask: int) -> tuple[int, ...]:
        """Some atoms of `mask`, those that the fewest boxes allow first."""
        if mask.bit_count() <= _FEW:
            return tuple(sorted(_bits(mask), key=self._rank.__getitem__)[:_TRIED])
        return tuple(islice((atom for atom in self._ranking if mask >> atom & 1), _TRIED))

    def containing(self, mask: int) -> int:
        """The boxes that allow every atom of `mask`."""
        if mask.bit_count() <= len(self._by_mask):
            return reduce(and_, map(self.allowing, _bits(mask)))
        return reduce(or_, (boxes for each, boxes in self._by_mask.items() if not mask & ~each), self.unrestricted)

    def meeting(self, mask: int) -> int:
        """The boxes that allow an atom of `mask`."""
        if mask.bit_count() <= len(self._by_mask):
            return reduce(or_, map(self.allowing, _bits(mask)))
        return reduce(or_, (boxes for each, boxes in self._by_mask.items() if mask & each), self.unrestricted)


class _Index:
    """All boxes of a cover, by dimension; a set of boxes is an int with their places as bits."""

    def __init__(self, space: Space, boxes: Sequence[Mapping[int, int]]) -> None:
        self.boxes = boxes
        everything = (1 << len(boxes)) - 1
        by_mask: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for place, masks in enumerate(boxes):
            for dimension, mask in masks.items():
                by_mask[dimension][mask] |= 1 << place
        self.axes = {each: _Axis(space.sizes[each], everything, having) for each, having in sorted(by_mask.items())}
        self.wide = {each: axis for each, axis in self.axes.items() if space.sizes[each] > 2}
        self.resting = {each: 1 for each in self.axes if each not in self.wide}
        self.flagless = self._unfiled = everything
        self._filed: dict[int, int] = defaultdict(int)
        for place, masks in enumerate(boxes):
            self._file(place, [each for each in masks if each in self.resting])
        self.rarest = lru_cache(_REMEMBERED)(lambda dimension, mask: self.axes[dimension].rarest(mask))
        self.containing = lru_cache(_REMEMBERED)(lambda dimension, mask: self.axes[dimension].containing(mask))
        self.meeting = lru_cache(_REMEMBERED)(lambda dimension, mask: self.axes[dimension].meeting(mask))

    def _file(self, place: int, flags: Sequence[int]) -> None:
        self.flagless ^= bool(flags) << place
        if kept_out := [each for each in flags if not self.boxes[place][each] & 1]:
            rarest = max(kept_out, key=lambda flag: self.axes[flag].unrestricted.bit_count())
            self._filed[rarest] |= 1 << place
            self._unfiled ^= 1 << place

    def awake(self, piece: Mapping[int, int], among: int) -> int:
        """The boxes that the flags do not keep out, as far as files and the flags of `piece` tell."""
        flags = [each for each in piece if each in self.resting]
        boxes = among & reduce(or_, (self._filed.get(flag, 0) for flag in flags), self._unfiled)
        for flag in flags:
            boxes &= self.axes[flag].allowing(piece[flag] >> 1)
        return boxes

    def holding(self, piece: Mapping[int, int], among: int) -> tuple[dict[int, int], int]:
        """A point of `piece` that few boxes hold (its atoms on wide dimensions), and these boxes."""
        boxes = self.awake(piece, among)
        point = {}
        # Dimensions without a choice come first: they leave fewer boxes to choose against.
        for dimension in sorted(self.wide, key=lambda each: piece.get(each, 0).bit_count() != 1):
            axis = self.wide[dimension]
            point[dimension], *others = self.rarest(dimension, piece.get(dimension, axis.full))
            left = boxes & axis.allowing(point[dimension])
            for atom in others if left else ():
                fewer = boxes & axis.allowing(atom)
                if fewer.bit_count() < left.bit_count():
                    point[dimension], left = atom, fewer
            boxes = left
        for place in _bits(boxes & ~self._unfiled):
            boxes ^= self.is_kept_out(place, piece) << place
        return point, boxes

    def is_kept_out(self, place: int, piece: Mapping[int, int]) -> bool:
        """Does a flag at rest keep the box out?"""
        masks = self.boxes[place].items()
        return any(not mask & 1 and each in self.resting and each not in piece for each, mask in masks)

    def room(self, piece: Mapping[int, int], dimension: int) -> int:
        """The atoms that `piece` allows."""
        return piece.get(dimension, self.axes[dimension].full)

    def open_on(self, place: int, piece: Mapping[int, int]) -> list[int]:
        """The dimensions on which the box does not allow all that `piece` does."""
        return [each for each, mask in self.boxes[place].items() if self.room(piece, each) & ~mask]

    def nearest(self, piece: Mapping[int, int], boxes: int) -> tuple[int, list[int]]:
        """Of boxes that meet `piece` the one with the fewest open dimensions, of many nearly the fewest; and these."""
        once = twice = 0
        for dimension, axis in self.wide.items():
            is_open = boxes ^ (boxes & self.containing(dimension, piece.get(dimension, axis.full)))
            twice |= once & is_open
            once |= is_open
        plain = boxes & self.flagless
        # Flags that are open are not counted in these groups, so the figure is the least that the group may hold.
        groups = ((0, plain & ~once), (0, boxes & ~plain & ~once), (1, boxes & once & ~twice), (2, boxes & twice))
        place, fewest = -1, [-1, *self.axes]  # more than any box has
        for least, group in groups:
            for each in islice(_bits(group), _LOOKED_AT):
                if len(fewest) <= least:
                    return place, fewest
                place, fewest = min((place, fewest), (each, self.open_on(each, piece)), key=lambda found: len(found[1]))
        return place, fewest

    def open_only_on(self, dimension: int, piece: Mapping[int, int], among: int) -> int:
        """The boxes without flags that restrict `piece` on this dimension and no other."""
        boxes = among & self.flagless & self.meeting(dimension, self.room(piece, dimension))
        boxes ^= boxes & self.axes[dimension].unrestricted
        for each, axis in self.wide.items():
            if each != dimension:
                boxes &= self.containing(each, piece.get(each, axis.full))
        return boxes


class _Search:
    """Subtraction of boxes from pieces, with a stack of its own, and steps for several searches together."""

    def __init__(self, index: _Index, steps: int) -> None:
        self._index = index
        self._steps = self._left = steps
        self.used = 0  # the boxes that the last search named

    def free(self, masks: Mapping[int, int], among: int) -> Mapping[int, int] | None:
        """A part that none of the boxes `among` touches; None: there is none, and `used` is a cover."""
        self.used = 0
        pending: list[Iterator[dict[int, int]]] = []
        piece = None if 0 in masks.values() else dict(masks)
        while piece is not None:
            self._step(piece)
            point, boxes = self._index.holding(piece, among)
            if not boxes:
                return self._widened(piece, point, among)
            place, open_on = self._index.nearest(piece, boxes)
            self.used |= 1 << place
            if len(open_on) > 1:
                pending.append(self._pieces(piece, place, open_on))
            piece = self._cut(piece, place, open_on[0], among) if len(open_on) == 1 else None
            while piece is None and pending:
                piece = next(pending[-1], None)
                if piece is None:
                    pending.pop()
        return None

    def _step(self, piece: Mapping[int, int]) -> None:
        self._left -= 1 + len(piece) // _WIDE_PIECE
        if self._left < 0:
            raise Undecided(f"undecided after `{self._steps}` steps")

    def _pieces(self, piece: Mapping[int, int], place: int, open_on: Sequence[int]) -> Iterator[dict[int, int]]:
        """What is left without the box, in disjoint pieces, each made when it is asked for."""
        inside = dict(piece)
        for dimension in open_on:
            mask, room = self._index.boxes[place][dimension], self._index.room(inside, dimension)
            yield {**inside, dimension: room & ~mask}
            inside[dimension] = room & mask

    def _cut(self, piece: dict[int, int], place: int, dimension: int, among: int) -> dict[int, int] | None:
        """What is left without the box, and without some of those that are open on this dimension alone as well."""
        room = self._index.room(piece, dimension) & ~self._index.boxes[place][dimension]
        left = {**piece, dimension: room}
        for each in islice(_bits(self._index.open_only_on(dimension, left, among)), _LOOKED_AT):
            mask = self._index.boxes[each][dimension]
            if room & mask:
                self.used |= 1 << each
                room &= ~mask
        left[dimension] = room
        return left if room else None

    def _widened(self, piece: Mapping[int, int], point: Mapping[int, int], among: int) -> Mapping[int, int]:
        """The free point with more atoms, on one dimension after the other, while no box is touched."""
        index = self._index
        after = [-1]  # the boxes that hold the point on the last dimensions, on none, one, two of them
        for dimension, atom in reversed(list(point.items())):
            after.append(after[-1] & index.wide[dimension].allowing(atom))
        own = dict(piece)
        boxes = index.awake(piece, among)
        for dimension, atom in point.items():
            after.pop()
            room = self._index.room(piece, dimension)
            near = boxes & after[-1]  # kept out by this dimension alone, or by a flag at rest
            if near.bit_count() > _LOOKED_AT:
                room, near = 1 << atom, 0
            for place in _bits(near):
                mask = index.boxes[place].get(dimension, 0)
                room &= ~mask if room & mask and not index.is_kept_out(place, piece) else room
            if room != index.wide[dimension].full:
                own[dimension] = room
                boxes &= index.meeting(dimension, room)
        return ChainMap(own, index.resting) if index.resting else own


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
