"""Slates: several options chosen together under a budget, from ballots that approve.

A constitution has a length that a model can heed; its principles have lengths of their own. These
rules spend the budget so that a group of voters gets its share of it, not the majority all. Budget
and costs are whole numbers from 1 up; with every cost 1 the budget is the number of seats.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from governance.methods import profile as profiles
from governance.methods.figures import fraction
from governance.methods.ties import tie_order

Costs: TypeAlias = Mapping[str, int]
Ballots: TypeAlias = Iterable[tuple[list[str], int]]
Voters: TypeAlias = dict[frozenset[str], int]


@dataclass(frozen=True, kw_only=True)
class Slate:
    """What a rule chose.

    Attributes:
        chosen: options in the order in which they were taken.
        cost: what they cost together.
        tied: options between which the rule could not choose, where no seed was given; the rule
            stopped there, so the slate is unfinished. Empty otherwise.
        steps: one for each option taken, with its figures: whole numbers and words only.
        tie_break: the seeded order by which ties were broken; None without a seed.
    """

    chosen: tuple[str, ...]
    cost: int
    tied: tuple[str, ...]
    steps: tuple[dict[str, Any], ...]
    tie_break: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Unrepresented:
    """A group that could pay for more of what it approves than any of its voters got.

    Attributes:
        option: not on the slate, approved by all of the group.
        weight: of the group's voters.
        has: at most so much of the budget was spent on what each of them approves.
        share: of the budget that is the group's by its size; at least `has` and the option's cost.
    """

    option: str
    weight: int
    has: int
    share: Fraction


def sequential_pav(
    options: Sequence[str],
    ballots: Ballots,
    *,
    costs: Costs,
    budget: int,
    seed: str | None = None,
) -> Slate:
    """Take, time after time, the option that adds most satisfaction for its cost.

    A voter who approves of m chosen options has satisfaction 1 + 1/2 + … + 1/m, so an option adds
    1/(m + 1) for each voter who approves of it. Taken is the affordable option with the largest
    sum divided by cost, until no affordable option adds anything.

    Raises:
        ValueError: an option lacks a cost, or a cost or the budget is no whole number from 1 up.

    Source: Thiele 1895, sequential proportional approval voting; the sum by cost is the usual
        greedy form under a budget.
    """
    taking = _Taking(options, ballots, costs=costs, budget=budget, seed=seed)
    taking.by_satisfaction()
    return taking.slate()


def equal_shares(
    options: Sequence[str],
    ballots: Ballots,
    *,
    costs: Costs,
    budget: int,
    seed: str | None = None,
) -> Slate:
    """Give every voter an equal share of the budget, and let supporters pay for options together.

    An option can be had at price p if its supporters can pay its cost, nobody more than p and
    nobody more than is left of their share. Taken is the option with the lowest price, for which
    its supporters then pay; until none can be paid for. What is left of the budget is then spent as
    by `sequential_pav`, upon what is chosen so far (the rule alone often leaves some).

    Each approved option is worth the same to a voter, whatever it costs.

    Raises:
        ValueError: an option lacks a cost, or a cost or the budget is no whole number from 1 up.

    Source: Peters and Skowron 2020, "Proportionality and the limits of welfarism"; with costs,
        Peters, Pierczyński and Skowron 2021, "Proportional participatory budgeting with additive
        utilities".
    """
    taking = _Taking(options, ballots, costs=costs, budget=budget, seed=seed)
    taking.by_shares()
    taking.by_satisfaction()
    return taking.slate()


def justified_representation(
    options: Sequence[str],
    ballots: Ballots,
    *,
    costs: Costs,
    budget: int,
    chosen: Iterable[str],
) -> list[Unrepresented]:
    """Return the groups that a slate leaves unrepresented, at most one for each option left out.

    A group of weight w among n has w/n of the budget as its share. It is unrepresented if all of it
    approves of an option left out, whose cost and all that was spent on what any one of them
    approves fit together into that share. Of several such groups for one option the one with the
    least is returned.

    With every cost 1 this is EJR+ exactly, and with `has` 0 it is justified representation (JR).

    Source: Aziz, Brill, Conitzer, Elkind, Freeman and Walsh 2017, "Justified representation in
        approval-based committee voting"; Brill and Peters 2023, "Robust and verifiable
        proportionality axioms", for EJR+, with costs in place of counts.
    """
    voters = _voters(options, ballots)
    _check_costs(options, costs, budget)
    everyone = sum(voters.values())
    slate = set(chosen)
    spent = {approved: sum(costs[o] for o in approved & slate) for approved in voters}
    found = []
    for option in options:
        if option in slate:
            continue
        supporters = [approved for approved in voters if option in approved]
        for has in sorted({spent[approved] for approved in supporters}):
            weight = sum(voters[approved] for approved in supporters if spent[approved] <= has)
            share = Fraction(weight * budget, everyone)
            if has + costs[option] <= share:
                found.append(Unrepresented(option=option, weight=weight, has=has, share=share))
                break
    return found


class _Taking:
    """Options being taken under a budget, one after another, until nothing can be taken."""

    def __init__(
        self,
        options: Sequence[str],
        ballots: Ballots,
        *,
        costs: Costs,
        budget: int,
        seed: str | None,
    ) -> None:
        _check_costs(options, costs, budget)
        self.ballots = [(approved, weight) for approved, weight in ballots]
        self.voters = _voters(options, self.ballots)
        self.costs = costs
        self.budget = budget
        self.left = list(options)
        self.chosen: list[str] = []
        self.tied: list[str] = []
        self.steps: list[dict[str, Any]] = []
        self.order: tuple[str, ...] | None = None
        if seed is not None:
            self.order = tie_order(profiles.read("approval", options, self.ballots), seed)

    @property
    def cost(self) -> int:
        return sum(self.costs[option] for option in self.chosen)

    def by_satisfaction(self) -> None:
        while not self.tied:
            adds = {option: self._added(option) for option in self._affordable()}
            best = max(adds.values(), default=Fraction(0))
            if not best:
                return
            self._take([option for option in adds if adds[option] == best], adds_per_cost=best)

    def by_shares(self) -> None:
        everyone = sum(self.voters.values())
        purse = {approved: Fraction(self.budget, everyone) for approved in self.voters}
        while not self.tied:
            prices = {option: self._price(option, purse) for option in self._affordable()}
            paid = [price for price in prices.values() if price is not None]
            if not paid:
                return
            price = min(paid)
            taken = self._take([o for o in prices if prices[o] == price], largest_payment=price)
            purse = {
                approved: left - min(price, left) if taken in approved else left
                for approved, left in purse.items()
            }

    def slate(self) -> Slate:
        return Slate(
            chosen=tuple(self.chosen),
            cost=self.cost,
            tied=tuple(self.tied),
            steps=tuple(self.steps),
            tie_break=self.order,
        )

    def _affordable(self) -> list[str]:
        return [option for option in self.left if self.costs[option] <= self.budget - self.cost]

    def _added(self, option: str) -> Fraction:
        slate = set(self.chosen)
        counts: dict[int, int] = {}
        for approved, weight in self.voters.items():
            if option in approved:
                got = len(approved & slate)
                counts[got] = counts.get(got, 0) + weight
        whole = sum((Fraction(weight, got + 1) for got, weight in counts.items()), Fraction(0))
        return whole / self.costs[option]

    def _price(self, option: str, purse: Mapping[frozenset[str], Fraction]) -> Fraction | None:
        """Return the least price at which the supporters can pay; None where they cannot."""
        due = Fraction(self.costs[option])
        payers = sorted(
            (approved for approved in purse if option in approved), key=purse.__getitem__
        )
        weight = sum(self.voters[approved] for approved in payers)
        for approved in payers:
            if due <= weight * purse[approved]:
                return due / weight
            due -= self.voters[approved] * purse[approved]
            weight -= self.voters[approved]
        return None

    def _take(self, best: list[str], **figures: Fraction) -> str | None:
        """Take the only or first of the best; without a seed, several are tied."""
        if len(best) > 1 and self.order is None:
            self.tied = best
            return None
        option = min(best, key=self.order.index) if self.order else best[0]
        self.left.remove(option)
        self.chosen.append(option)
        self.steps.append(
            {
                "option": option,
                "cost": self.costs[option],
                **{name: fraction(value) for name, value in figures.items()},
                "tied_with": [other for other in best if other != option],
            }
        )
        return option


def _check_costs(options: Sequence[str], costs: Costs, budget: int) -> None:
    for number in [budget, *(costs.get(option) for option in options)]:
        if type(number) is not int or number < 1:
            raise ValueError("The budget and every option's cost are whole numbers from 1 up.")


def _voters(options: Sequence[str], ballots: Ballots) -> Voters:
    known, voters = set(options), Voters()
    for approved, weight in ballots:
        if not known.issuperset(approved):
            raise ValueError("A ballot approves of something that is not an option.")
        voters[frozenset(approved)] = voters.get(frozenset(approved), 0) + weight
    return voters
