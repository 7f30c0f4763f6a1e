"""Refusals: sentences for people, not faults of the program."""


class RuleViolation(Exception):
    """What was asked is against a rule of the house; the text says which, to the person."""


class NotPermitted(RuleViolation):
    """This person may not do this."""


class InvalidTransition(RuleViolation):
    """The thing is in a state from which this step does not lead."""


class BadInput(RuleViolation):
    """What was given cannot be taken; nothing of it was kept."""
