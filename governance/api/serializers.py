"""Shapes of what the API takes and gives; the rules stay in the verbs."""

from typing import Any

from rest_framework import serializers

from governance import membership, voting
from governance.models import Ballot, Community, Invitation, Membership, User
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


class PollCreateSerializer(serializers.Serializer[Any]):
    """A plain question to all members; what is left out of the rule is the default rule's."""

    title = serializers.CharField(max_length=voting.LONGEST_TITLE)
    text = serializers.CharField(max_length=voting.LONGEST_TEXT)
    rule = RuleSerializer(required=False)
    closes_at = serializers.DateTimeField()


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
