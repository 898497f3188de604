"""What a cover leaves free: against all points one by one, against a solver, and within its steps."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from random import Random

import pytest
import z3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policy.rules.proof.boxes import IMPOSSIBLE, Box, Claim, Cover, Space, Undecided

Point = tuple[int, ...]
Question = tuple[Space, list[Claim], Box, int]
ALWAYS = 100  # a limit above every owner


@st.composite
def boxes(draw: st.DrawFn, sizes: Sequence[int], least: int = 0, most: int = 3) -> Box:
    within = len(sizes)
    dimensions = draw(st.lists(st.integers(0, within - 1), unique=True, min_size=least, max_size=min(within, most)))
    return Box({each: draw(st.integers(least, (1 << sizes[each]) - 1)) for each in dimensions})


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """A small space with many flags, claims in any order, a box, and a limit (under which the impossible stay so)."""
    sizes = draw(st.lists(st.sampled_from([1, 2, 2, 2, 3, 5]), min_size=1, max_size=6))
    claim = st.builds(Claim, st.integers(IMPOSSIBLE, 8), boxes(sizes, least=1))
    return Space(sizes), draw(st.lists(claim, max_size=25)), draw(boxes(sizes)), draw(st.integers(-2, 10))


def points(space: Space) -> Iterator[Point]:
    return product(*map(range, space.sizes))


def has(box: Box, point: Point) -> bool:
    return all(mask >> point[dimension] & 1 for dimension, mask in box.masks.items())


def left(space: Space, box: Box, forbidden: Sequence[Box]) -> set[Point]:
    """The points of `box` that are in none of the forbidden: the definition, one by one."""
    return {each for each in points(space) if has(box, each) and not any(has(other, each) for other in forbidden)}


def below(claims: Sequence[Claim], limit: int) -> list[Box]:
    return [each.box for each in claims if each.owner < limit or each.owner == IMPOSSIBLE]


def of(claims: Sequence[Claim], owners: set[int]) -> list[Box]:
    return [each.box for each in claims if each.owner in owners | {IMPOSSIBLE}]


@given(questions())
def test_a_box_is_free_exactly_where_a_point_of_it_is_left(question: Question) -> None:
    space, claims, box, limit = question
    expected = left(space, box, below(claims, limit))
    free = Cover(space, claims).free(box, limit)
    assert (free is None) == (not expected)
    if free is not None:
        found = {each for each in points(space) if has(free, each)}
        assert found
        assert found <= expected


@given(questions(), st.lists(st.tuples(st.integers(IMPOSSIBLE, 8), st.integers(0, 5), st.integers(1, 31)), max_size=12))
def test_two_lists_with_a_limit_each_forbid_what_both_forbid(
    question: Question, raw: list[tuple[int, int, int]]
) -> None:
    space, claims, box, limit = question
    inside = [(owner, at % len(space.sizes), mask) for owner, at, mask in raw]
    others = [Claim(owner, Box({at: mask & space.full(at)})) for owner, at, mask in inside]
    expected = left(space, box, below(claims, limit) + below(others, limit // 2))
    free = Cover(space, claims, others).free(box, limit, limit // 2)
    assert {each for each in points(space) if free is not None and has(free, each)} <= expected
    assert (free is None) == (not expected)


@given(questions())
@example((Space([3, 2]), [Claim(0, Box({0: 3})), Claim(1, Box({0: 4})), Claim(2, Box({0: 6}))], Box(), 3))
def test_those_that_hide_a_box_cover_it_and_none_of_them_can_be_left_out(question: Question) -> None:
    space, claims, box, limit = question
    cover = Cover(space, claims)
    if left(space, box, below(claims, limit)):
        with pytest.raises(ValueError, match="box is not covered"):
            cover.hiding(box, limit)
        return
    hiding = set(cover.hiding(box, limit))
    assert hiding <= set(range(limit))
    assert not left(space, box, of(claims, hiding))
    assert all(left(space, box, of(claims, hiding - {each})) for each in hiding)


def test_the_first_rule_that_hides_a_box_alone_is_named() -> None:
    narrow = [Claim(rule, Box({0: 1 << rule % 9, 1: 2})) for rule in range(50)]
    claims = [*narrow, Claim(50, Box({0: 15})), Claim(51, Box({0: 7})), Claim(52, Box())]
    assert Cover(Space([9, 9]), claims).hiding(Box({0: 2}), ALWAYS) == (50,)


def random_claims(draw: Random, sizes: Sequence[int], count: int) -> list[Claim]:
    claims = []
    for owner in range(count):
        dimensions = draw.sample(range(len(sizes)), draw.choice([1, 2, 2, 3, 3, 3]))
        claims.append(Claim(owner, Box({each: draw.randrange(1, (1 << sizes[each]) - 1) for each in dimensions})))
    return claims


def inside(point: Sequence[z3.ArithRef], masks: Mapping[int, int], sizes: Sequence[int]) -> z3.BoolRef:
    """Is the point in the box, as a formula; only the atoms of a mask are written down."""
    return z3.And(
        *(
            z3.Or(*(point[each] == atom for atom in range(sizes[each]) if mask >> atom & 1))
            for each, mask in masks.items()
        )
    )


@settings(max_examples=12)
@given(st.integers(0, 1 << 32), st.integers(30, 60))
def test_a_solver_agrees_on_larger_spaces(seed: int, count: int) -> None:
    draw = Random(seed)  # noqa: S311
    sizes = [draw.choice([2, 2, 3, 4, 7]) for _ in range(12)]
    claims = random_claims(draw, sizes, count)
    context = z3.Context()
    point = [z3.Int(f"at{each}", context) for each in range(len(sizes))]
    solver = z3.Solver(ctx=context)
    solver.add(*(z3.And(each >= 0, each < size) for each, size in zip(point, sizes, strict=True)))
    solver.add(*(z3.Not(inside(point, claim.box.masks, sizes)) for claim in claims))
    free = Cover(Space(sizes), claims).free(Box(), ALWAYS)
    assert (free is None) == (solver.check() == z3.unsat)
    if free is not None:
        # Nowhere in the answer does a claim hold, so the whole of it satisfies what the solver was told.
        touching = z3.Solver(ctx=context)
        touching.add(inside(point, free.masks, sizes), z3.Or(*(inside(point, c.box.masks, sizes) for c in claims)))
        touching.add(*(z3.And(each >= 0, each < size) for each, size in zip(point, sizes, strict=True)))
        assert touching.check() == z3.unsat


def tangle(flags: int, seed: int) -> Cover:
    """Random claims on three flags each, as many as make it hard to say whether anything is free."""
    draw = Random(seed)  # noqa: S311
    dimensions = [draw.sample(range(flags), 3) for _ in range(flags * 43 // 10)]
    claims = [Claim(rule, Box({each: draw.choice([1, 2]) for each in three})) for rule, three in enumerate(dimensions)]
    return Cover(Space([2] * flags), claims)


@pytest.mark.parametrize("seed", range(4))
def test_a_search_that_takes_all_its_steps_says_undecided_and_never_guesses(seed: int) -> None:
    cover = tangle(25, seed)
    decided = cover.free(Box(), 1000) is None
    answers = set()
    for steps in (0, 1, 5, 20, 1000):
        try:
            answers.add(cover.free(Box(), 1000, steps=steps) is None)
        except Undecided as error:
            assert str(error) == f"undecided after `{steps}` steps"  # noqa: PT017
            answers.add(None)
    assert answers == {None, decided}


def test_where_the_steps_end_while_rules_are_left_out_those_that_hide_still_cover() -> None:
    space = Space([40])
    claims = [Claim(rule, Box({0: 1 << rule % 40})) for rule in range(80)]
    cover = Cover(space, claims)
    hiding = set(cover.hiding(Box(), 100, steps=6))
    assert not left(space, Box(), of(claims, hiding))
    assert len(cover.hiding(Box(), 100)) == 40
    with pytest.raises(Undecided):
        cover.hiding(Box(), 100, steps=0)


def test_a_long_chain_of_implications_does_not_recurse() -> None:
    flags = 1200
    claims = [Claim(IMPOSSIBLE, Box({each: 2, each + 1: 1})) for each in range(flags - 1)]
    cover = Cover(Space([2] * flags), claims)
    assert cover.free(Box({0: 2, flags - 1: 1}), 0) is None
    free = cover.free(Box({0: 2}), 0)
    assert free is not None
    assert set(free.masks.values()) == {2}


def test_ten_rules_that_take_one_atom_each_leave_the_others_whole() -> None:
    claims = [Claim(rule, Box({0: 1 << rule, 2: 2})) for rule in range(10)]
    space = Space([50, 7, 2])
    assert Cover(space, claims).free(Box({2: 2}), ALWAYS) == Box({0: space.full(0) ^ 1023, 2: 2})
    assert Cover(space, claims).free(Box({0: 3}), ALWAYS) == Box({0: 3, 2: 1})  # a flag rests at its first atom


def test_nothing_is_free_in_an_empty_box_and_nothing_hides_it() -> None:
    cover = Cover(Space([3, 2]), [Claim(0, Box({0: 0}))])
    assert cover.free(Box({0: 0}), 0) is None
    assert cover.hiding(Box({0: 0}), 0) == ()
    assert cover.free(Box({1: 2}), 1) == Box({1: 2})


@given(questions(), st.data())
def test_a_point_is_in_both_boxes_exactly_when_it_is_in_their_intersection(
    question: Question, data: st.DataObject
) -> None:
    space, _, box, _ = question
    other = data.draw(boxes(space.sizes))
    assert all(has(box & other, each) == (has(box, each) and has(other, each)) for each in points(space))


@pytest.mark.parametrize(
    ("masks", "what"),
    [({2: 1}, "no dimension `2`"), ({-1: 1}, "no dimension `-1`"), ({0: 8}, "`0` has only `3` atoms")],
)
def test_a_box_outside_the_space_is_refused(masks: dict[int, int], what: str) -> None:
    cover = Cover(Space([3, 2]), [])
    with pytest.raises(ValueError, match=what):
        cover.free(Box(masks), 0)
    with pytest.raises(ValueError, match=what):
        Cover(Space([3, 2]), [Claim(0, Box(masks))])


def test_each_list_needs_a_limit() -> None:
    with pytest.raises(ValueError, match="`2` lists need as many limits, not `1`"):
        Cover(Space([3]), [], []).free(Box(), 1)
