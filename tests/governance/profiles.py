"""Small random profiles, and what is asked of them, for the tests of voting methods."""

from itertools import combinations

from hypothesis import strategies as st

from governance.methods.counting import count

LETTERS = "abcde"


@st.composite
def strict_profiles(draw, *, options=(1, 4), voters=9):
    """Draw options, and complete strict rankings with their weights."""
    names = LETTERS[: draw(st.integers(*options))]
    one = st.tuples(st.permutations(names).map(lambda o: [[a] for a in o]), st.integers(1, 3))
    return names, draw(st.lists(one, min_size=1, max_size=voters))


@st.composite
def weak_profiles(draw, *, options=(1, 4), voters=6):
    """Draw options, and rankings that may tie options or leave them out, with their weights."""
    names = LETTERS[: draw(st.integers(*options))]
    tiers = st.lists(st.sampled_from([0, 1, 2, None]), min_size=len(names), max_size=len(names))
    one = st.tuples(tiers.map(lambda row: tiers_of(names, row)), st.integers(1, 3))
    return names, draw(st.lists(one, max_size=voters))


@st.composite
def scores(draw, *, options=(1, 4), largest=5):
    """Draw options, and points for each, with their weights."""
    names = LETTERS[: draw(st.integers(*options))]
    given = st.fixed_dictionaries({name: st.integers(0, largest) for name in names})
    return names, draw(st.lists(st.tuples(given, st.integers(1, 3)), min_size=1, max_size=6))


def tiers_of(names, row):
    levels = sorted({level for level in row if level is not None})
    return [[n for n, at in zip(names, row, strict=True) if at == level] for level in levels]


def winners(method, names, ballots, **seed):
    return count(method, names, ballots, **seed).winners


def without(ballots, option):
    """Take an option out of every ranking."""
    left = [([[o for o in t if o != option] for t in tiers], w) for tiers, w in ballots]
    return [([tier for tier in tiers if tier], weight) for tiers, weight in left]


def beats(names, ballots):
    """Return all pairs of which the first wins the duel."""
    duels = count("copeland", names, ballots).pairwise
    return {(a, b) for a in names for b in names if a != b and duels[a][b] > duels[b][a]}


def smith_set(names, ballots):
    """Return the smallest set whose members beat everyone outside it."""
    won = beats(names, ballots)
    for size in range(1, len(names) + 1):
        for inside in combinations(names, size):
            if all((a, b) in won for a in inside for b in names if b not in inside):
                return set(inside)
    raise AssertionError


def lifted(content, option):
    """Put an option one place higher in a strict ranking."""
    at = content.index([option])
    if at == 0:
        return content
    return [*content[: at - 1], [option], content[at - 1], *content[at + 1 :]]
