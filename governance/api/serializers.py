"""Shapes of what the API takes and gives; the rules stay in the verbs."""

from typing import Any

from rest_framework import serializers

from governance import membership, polling, voting
from governance.models import Ballot, Community, Invitation, Membership, Poll, User
from governance.rules import LONGEST_MINUTES
from governance.shapes import PersonSerializer, PollSerializer, RuleSerializer


class MeSerializer(serializers.ModelSerializer[User]):
    """The person who asks."""

    class Meta:
        model = User
        fields = ("id", "name", "email", "is_scripted")


class TokenRequestSerializer(serializers.Serializer[Any]):
    """E-mail and password, in exchange for a token."""

    email = serializers.EmailField()
    password = serializers.CharField(trim_whitespace=False, write_only=True)


class TokenSerializer(serializers.Serializer[Any]):
    """What `Authorization: Token …` takes; it cannot be read again later."""

    token = serializers.CharField()


class CommunitySerializer(serializers.ModelSerializer[Community]):
    """A community."""

    members = serializers.IntegerField(read_only=True)
    open_polls = serializers.IntegerField(read_only=True)

    class Meta:
        model = Community
        fields = (
            "slug",
            "name",
            "purpose",
            "joining",
            "visibility",
            "is_demo",
            "created_at",
            "members",
            "open_polls",
        )


class CommunityCreateSerializer(serializers.Serializer[Any]):
    """What founding a community takes."""

    name = serializers.CharField(max_length=membership.LONGEST_NAME)
    purpose = serializers.CharField(max_length=membership.LONGEST_PURPOSE)
    slug = serializers.SlugField(max_length=membership.LONGEST_SLUG, default="", allow_blank=True)
    joining = serializers.ChoiceField(
        choices=Community.Joining.choices, default=Community.Joining.OPEN
    )
    visibility = serializers.ChoiceField(
        choices=Community.Visibility.choices, default=Community.Visibility.PUBLIC
    )


class CommunityChangeSerializer(serializers.Serializer[Any]):
    """What stewards may change; what is left out stays."""

    purpose = serializers.CharField(max_length=membership.LONGEST_PURPOSE, required=False)
    joining = serializers.ChoiceField(choices=Community.Joining.choices, required=False)
    visibility = serializers.ChoiceField(choices=Community.Visibility.choices, required=False)


class MembershipSerializer(serializers.ModelSerializer[Membership]):
    """A person's place in a community."""

    user = PersonSerializer()

    class Meta:
        model = Membership
        fields = ("id", "user", "role", "status", "joined_at")


class RoleSerializer(serializers.Serializer[Any]):
    """A role."""

    role = serializers.ChoiceField(choices=Membership.Role.choices)


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """An invitation; the token is what joins."""

    class Meta:
        model = Invitation
        fields = ("id", "token", "created_at", "expires_at")


class InvitationCreateSerializer(serializers.Serializer[Any]):
    """How long an invitation holds."""

    days = serializers.IntegerField(
        min_value=1, max_value=membership.LONGEST_INVITATION_DAYS, default=14
    )


class OptionGivenSerializer(serializers.Serializer[Any]):
    """An option; its key is made from its title."""

    title = serializers.CharField(max_length=polling.LONGEST_TITLE)
    text = serializers.CharField(max_length=polling.LONGEST_OPTION, default="", allow_blank=True)


class PollContentSerializer(serializers.Serializer[Any]):
    """What is decided, and how; what is left out of the rule is the default rule's."""

    title = serializers.CharField(max_length=polling.LONGEST_TITLE)
    text = serializers.CharField(max_length=polling.LONGEST_TEXT)
    rule = RuleSerializer(required=False, help_text="Left out: the rule as it stands.")
    options = serializers.ListField(
        child=OptionGivenSerializer(), required=False, max_length=polling.MOST_OPTIONS
    )


class PollCreateSerializer(PollContentSerializer):
    """A question to all members; it is open until `closes_at`, or for `period` minutes."""

    begin = serializers.ChoiceField(choices=["open", "announce", "draft"], default="open")
    closes_at = serializers.DateTimeField(required=False)
    period = serializers.IntegerField(required=False, min_value=1, max_value=LONGEST_MINUTES)
    opens_at = serializers.DateTimeField(required=False)


class PollEditSerializer(PollContentSerializer):
    """All that a draft says; `period` is in minutes."""

    period = serializers.IntegerField(min_value=1, max_value=LONGEST_MINUTES)


class AnnounceSerializer(serializers.Serializer[Any]):
    """When a draft opens; left out: as soon as its rule allows."""

    opens_at = serializers.DateTimeField(required=False)


class ReasonSerializer(serializers.Serializer[Any]):
    """Why."""

    reason = serializers.CharField(max_length=polling.LONGEST_REASON)


class OwnBallotSerializer(serializers.ModelSerializer[Ballot]):
    """My ballot; its content is null where it lies in the urn of a secret poll."""

    content = serializers.JSONField(allow_null=True)

    class Meta:
        model = Ballot
        fields: tuple[str, ...] = ("content", "cast_at")


class MyBallotSerializer(OwnBallotSerializer):
    """My ballot, with its poll."""

    community = serializers.CharField(source="poll.community.slug")
    poll = serializers.IntegerField(source="poll_id")
    title = serializers.CharField(source="poll.title")
    status = serializers.ChoiceField(source="poll.status", choices=Poll.Status.choices)
    voter_reference = serializers.SerializerMethodField()

    class Meta(OwnBallotSerializer.Meta):
        fields: tuple[str, ...] = (
            "community",
            "poll",
            "title",
            "status",
            "content",
            "cast_at",
            "voter_reference",
        )

    def get_voter_reference(self, ballot: Ballot) -> str:
        """Return the reference under which the poll's record names me."""
        return voting.voter_reference(ballot.poll, ballot.voter_id)


class PollDetailSerializer(PollSerializer):
    """A poll, with what concerns the person who asks."""

    may_vote = serializers.BooleanField()
    takes_ballots = serializers.BooleanField()
    own_ballot = OwnBallotSerializer(allow_null=True)
    voter_reference = serializers.CharField(allow_blank=True)

    class Meta(PollSerializer.Meta):
        fields: tuple[str, ...] = (
            *PollSerializer.Meta.fields,
            "may_vote",
            "takes_ballots",
            "own_ballot",
            "voter_reference",
        )


class BallotCastSerializer(serializers.Serializer[Any]):
    """What a ballot says, in the form of the poll's method.

    yes_no: "yes", "no" or "abstain". Rankings: [["a"], ["b", "c"]], best first. approval:
    ["a", "c"]. score and star: {"a": 5}. quadratic: credits. weighted: parts. Options by key.
    """

    content = serializers.JSONField()


class ReceiptSerializer(serializers.Serializer[Any]):
    """A recorded ballot, and what its voter can check it by.

    `commitment` and `nonce` are empty in a secret poll; `content` is null in the urn.
    """

    voter = serializers.CharField()
    content = serializers.JSONField(allow_null=True)
    nonce = serializers.CharField(allow_blank=True)
    commitment = serializers.CharField(allow_blank=True)
    recorded = serializers.BooleanField()
    statement = serializers.JSONField()
    signature = serializers.CharField()
    public_key = serializers.CharField()


class ResultSerializer(serializers.Serializer[Any]):
    """How a poll came out, and why."""

    outcome = serializers.ChoiceField(choices=Poll.Outcome.choices)
    sentence = serializers.CharField()
    why = serializers.ListField(child=serializers.CharField())
    tally = serializers.JSONField()
    seed = serializers.CharField()
