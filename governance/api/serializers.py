"""Shapes of what the API takes and gives; the rules stay in the verbs."""

from typing import Any

from rest_framework import serializers

from governance import membership, voting
from governance.models import Ballot, Community, Invitation, Membership, Poll, User
from governance.tally import Rule


class PersonSerializer(serializers.ModelSerializer[User]):
    """A person as others see them."""

    class Meta:
        model = User
        fields = ("id", "name", "is_scripted")


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
    """What `Authorization: Token …` takes."""

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


class RuleSerializer(serializers.Serializer[Any]):
    """A rule; shares are pairs of integers, such as [2, 3]."""

    method = serializers.ChoiceField(choices=["yes_no"], default="yes_no")
    base = serializers.ChoiceField(choices=["cast", "decided", "eligible"], default="decided")
    threshold = serializers.ListField(
        child=serializers.IntegerField(min_value=0),
        min_length=2,
        max_length=2,
        default=lambda: [1, 2],
    )
    strict = serializers.BooleanField(default=True)
    quorum = serializers.ChoiceField(
        choices=["none", "participation", "approval", "sqrt"], default="approval"
    )
    quorum_share = serializers.ListField(
        child=serializers.IntegerField(min_value=0),
        min_length=2,
        max_length=2,
        default=lambda: [1, 5],
    )
    secrecy = serializers.ChoiceField(choices=["roll_call"], default="roll_call")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is no rule, with the rule's own sentence."""
        try:
            Rule.from_dict(attrs)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return attrs


class PollCreateSerializer(serializers.Serializer[Any]):
    """A plain question to all members; what is left out of the rule is the default rule's."""

    title = serializers.CharField(max_length=voting.LONGEST_TITLE)
    text = serializers.CharField(max_length=voting.LONGEST_TEXT)
    rule = RuleSerializer(required=False)
    closes_at = serializers.DateTimeField()


class PollSerializer(serializers.ModelSerializer[Poll]):
    """A poll; its tally is null until it is closed."""

    rule = RuleSerializer()
    sentence = serializers.SerializerMethodField()
    opened_by = PersonSerializer()

    class Meta:
        model = Poll
        fields: tuple[str, ...] = (
            "id",
            "kind",
            "subject_key",
            "title",
            "text",
            "text_digest",
            "rule",
            "sentence",
            "electorate_size",
            "electorate_digest",
            "status",
            "outcome",
            "tally",
            "opened_by",
            "opened_at",
            "closes_at",
            "closed_at",
        )

    def get_sentence(self, poll: Poll) -> str:
        """Say when the poll passes, in words."""
        return Rule.from_dict(poll.rule).sentence(poll.electorate_size)


class OwnBallotSerializer(serializers.ModelSerializer[Ballot]):
    """My ballot."""

    class Meta:
        model = Ballot
        fields = ("choice", "cast_at")


class PollDetailSerializer(PollSerializer):
    """A poll, with what concerns the person who asks."""

    may_vote = serializers.BooleanField()
    own_ballot = OwnBallotSerializer(allow_null=True)
    voter_reference = serializers.CharField(allow_blank=True)

    class Meta(PollSerializer.Meta):
        fields: tuple[str, ...] = (
            *PollSerializer.Meta.fields,
            "may_vote",
            "own_ballot",
            "voter_reference",
        )


class BallotCastSerializer(serializers.Serializer[Any]):
    """A choice."""

    choice = serializers.ChoiceField(choices=Ballot.Choice.choices)


class BallotRecordSerializer(serializers.Serializer[Any]):
    """A ballot of a closed poll, under its voter's reference."""

    voter = serializers.CharField()
    choice = serializers.ChoiceField(choices=Ballot.Choice.choices)
