"""The policy in force, where it may change while others decide by it.

A policy never changes, so a change of policy is a change of one reference, which is atomic: who reads `current` once
has one whole version for as long as they keep what they read, whatever is put in its place meanwhile. That is all the
locking there is, and why each decision reads it once (`in_force`).
"""

from attrs import define

from policy.rules.policy import Policy


@define(eq=False)
class PolicyHolder:
    """Holds the policy in force; threads may share it."""

    _current: Policy

    @property
    def current(self) -> Policy:
        """The policy in force now; ask once a decision and keep the answer."""
        return self._current

    def replace(self, policy: Policy) -> None:
        """Put `policy` in force: for whoever asks from now on, not for who has asked."""
        self._current = policy


def in_force(policy: Policy | PolicyHolder) -> Policy:
    """Return the policy to decide by now: this one, or what the holder holds."""
    return policy.current if isinstance(policy, PolicyHolder) else policy
