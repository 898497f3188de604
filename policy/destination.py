"""Destinations: what can be suspended, throttled or counted as one, each under a key that people can read.

All keys are made of what is known before a delivery, so that `plan` finds what `observe` kept.
"""

from enum import Enum

from attrs import frozen

from policy.address import Address


class Reach(Enum):
    """How far a suspension or a rate reaches."""

    PAIR = "pair"  # from one sending identity to one provider (or domain, where no provider is known)
    PROVIDER = "provider"  # from all to a provider
    DOMAIN = "domain"  # from all to one domain
    STREAM = "stream"  # one kind of mail of an identity, wherever it goes
    CAMPAIGN = "campaign"  # one mailing of an identity; its stream, where no campaign is told
    ROUTE = "route"  # whatever goes by a route


@frozen(kw_only=True)
class Destination:
    """Where one message goes, and whose it is.

    Args:
        identity: the sender's domain; `-`: not known, or the null sender.
        provider: None: the domain is not known to be at one.
        stream: `-`: not known.
        campaign: None: not known.
    """

    identity: str
    domain: str
    provider: str | None
    stream: str
    campaign: str | None = None

    def key(self, reach: Reach, route: str) -> str:
        """Return the key of what is suspended.

        >>> jo = Destination(
        ...     identity="news.example", domain="gmail.com", provider="google", stream="bulk", campaign="may"
        ... )
        >>> [jo.key(each, "direct") for each in Reach]
        ['news.example>google', '*>google', '*>=gmail.com', 'news.example#bulk', 'news.example/may', '@direct']
        """
        match reach:
            case Reach.PAIR:
                return f"{self.identity}>{self.provider or self.domain}"
            case Reach.PROVIDER:
                return f"*>{self.provider or self.domain}"
            case Reach.DOMAIN:
                return f"*>={self.domain}"
            case Reach.STREAM:
                return f"{self.identity}#{self.stream}"
            case Reach.CAMPAIGN:
                return self.key(Reach.STREAM, route) if self.campaign is None else f"{self.identity}/{self.campaign}"
            case Reach.ROUTE:
                return f"@{route}"


def destination(
    sender: Address | str | None,
    recipient: Address,
    stream: str | None,
    provider: str | None,
    campaign: str | None = None,
) -> Destination:
    """Return where mail from `sender` to `recipient` goes."""
    return Destination(
        identity=sender.domain if isinstance(sender, Address) else "-",
        domain=recipient.domain,
        provider=provider,
        stream=stream or "-",
        campaign=campaign,
    )


def concerns(key: str, route: str) -> bool:
    """Is what has this key, among the keys of one delivery, met by going by `route`? All but other routes are.

    >>> [concerns(each, "relay") for each in ("@relay", "@direct", "news.example>google")]
    [True, False, True]
    """
    return not key.startswith("@") or key == f"@{route}"


def in_words(key: str) -> str:
    """Say for people what a destination's key means.

    >>> in_words("news.example>google"), in_words("*>=gmail.com"), in_words("-#bulk")
    ('mail from news.example to google', 'mail to gmail.com', "mail without a sender's domain, stream bulk")
    >>> in_words("news.example/may")
    'mail from news.example, campaign may'
    """
    if key.startswith("@"):
        return f"mail by route {key[1:]}"
    mark = min((each for each in "#>/" if each in key), key=key.index, default=">")  # an identity has none of them
    identity, _, rest = key.partition(mark)
    who = {"-": "mail without a sender's domain", "*": "mail"}.get(identity, f"mail from {identity}")
    if mark == "#":
        return f"{who} without a stream" if rest == "-" else f"{who}, stream {rest}"
    if mark == "/":
        return f"{who}, campaign {rest}"
    return f"{who} to {rest.removeprefix('=')}"
