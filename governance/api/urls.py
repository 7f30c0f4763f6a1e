"""API: people, communities and polls."""

from django.urls import path

from governance.api import delegations, polls, stewardship, views

_COMMUNITY = "communities/<slug:slug>/"
_MEMBER = f"{_COMMUNITY}members/<int:pk>/"
_POLL = f"{_COMMUNITY}polls/<int:pk>/"

urlpatterns = [
    path("token/", views.TokenView.as_view(), name="api-token"),
    path("me/", views.MeView.as_view(), name="api-me"),
    path("communities/", views.CommunityListView.as_view(), name="api-communities"),
    path(_COMMUNITY, views.CommunityView.as_view(), name="api-community"),
    path(f"{_COMMUNITY}join/", views.JoinView.as_view(), name="api-join"),
    path(f"{_COMMUNITY}leave/", views.LeaveView.as_view(), name="api-leave"),
    path(f"{_COMMUNITY}members/", views.MemberListView.as_view(), name="api-members"),
    path(f"{_MEMBER}role/", views.MemberRoleView.as_view(), name="api-member-role"),
    *(
        path(f"{_MEMBER}{act}/", views.MemberActView.as_view(act=act), name=f"api-member-{act}")
        for act in ("approve", "decline", "suspend", "reinstate")
    ),
    path(
        f"{_COMMUNITY}invitations/",
        views.InvitationListView.as_view(),
        name="api-invitations",
    ),
    path(
        "invitations/<slug:token>/accept/",
        views.InvitationAcceptView.as_view(),
        name="api-invitation-accept",
    ),
    path("me/ballots/", polls.MyBallotListView.as_view(), name="api-my-ballots"),
    path(f"{_COMMUNITY}polls/", polls.PollListView.as_view(), name="api-polls"),
    path(_POLL, polls.PollView.as_view(), name="api-poll"),
    path(f"{_POLL}announce/", polls.AnnounceView.as_view(), name="api-poll-announce"),
    path(f"{_POLL}withdraw/", polls.PollWithdrawView.as_view(), name="api-poll-withdraw"),
    path(f"{_POLL}result/", polls.ResultView.as_view(), name="api-result"),
    path(f"{_POLL}ballot/", polls.BallotView.as_view(), name="api-ballot"),
    path(f"{_POLL}ballots/", polls.BallotRecordView.as_view(), name="api-ballots"),
    path(f"{_POLL}voters/", polls.VoterListView.as_view(), name="api-voters"),
    path(
        f"{_COMMUNITY}delegations/",
        delegations.DelegationListView.as_view(),
        name="api-delegations",
    ),
    path(
        f"{_COMMUNITY}delegations/<int:pk>/",
        delegations.DelegationView.as_view(),
        name="api-delegation",
    ),
    path(f"{_POLL}delegation/", delegations.WayView.as_view(), name="api-way"),
    path(
        f"{_COMMUNITY}invitations/<int:pk>/",
        stewardship.InvitationView.as_view(),
        name="api-invitation",
    ),
    path(f"{_COMMUNITY}motions/", stewardship.MotionListView.as_view(), name="api-motions"),
    *(
        path(
            f"{_COMMUNITY}motions/<int:pk>/{act}/",
            stewardship.MotionActView.as_view(act=act),
            name=f"api-motion-{act}",
        )
        for act in ("second", "decline")
    ),
    path(f"{_COMMUNITY}rules/", stewardship.RuleListView.as_view(), name="api-rules"),
    path(f"{_COMMUNITY}rules/<slug:kind>/", stewardship.RuleView.as_view(), name="api-rule"),
    path(
        f"{_COMMUNITY}rules/<slug:kind>/proposals/",
        stewardship.RuleProposalView.as_view(),
        name="api-rule-proposals",
    ),
    path(
        f"{_MEMBER}stewardship/",
        stewardship.StewardProposalView.as_view(),
        name="api-steward-proposals",
    ),
]
