"""Pages: people, communities and polls."""

from django.urls import path

from governance import delegation_views, poll_views, stewardship_views, views

urlpatterns = [
    path("", views.home, name="home"),
    path("accounts/token/", views.account_token, name="account_token"),
    path("communities/new/", views.community_create, name="community_create"),
    path("invitations/<slug:token>/", views.invitation, name="invitation"),
    path("c/<slug:slug>/settings/", views.community_settings, name="community_settings"),
    path("c/<slug:slug>/join/", views.community_join, name="community_join"),
    path("c/<slug:slug>/leave/", views.community_leave, name="community_leave"),
    path("c/<slug:slug>/members/", views.community_members, name="community_members"),
    path("c/<slug:slug>/members/<int:pk>/role/", views.member_role, name="member_role"),
    path(
        "c/<slug:slug>/members/<int:pk>/stewardship/",
        stewardship_views.steward_change,
        name="steward_change",
    ),
    path("c/<slug:slug>/members/<int:pk>/<slug:act>/", views.member_act, name="member_act"),
    path("c/<slug:slug>/invitations/new/", views.invitation_create, name="invitation_create"),
    path(
        "c/<slug:slug>/invitations/<int:pk>/revoke/",
        views.invitation_revoke,
        name="invitation_revoke",
    ),
    path("ballots/", poll_views.my_ballots, name="my_ballots"),
    path("c/<slug:slug>/polls/", poll_views.poll_list, name="poll_list"),
    path("c/<slug:slug>/polls/new/", poll_views.poll_create, name="poll_create"),
    path("c/<slug:slug>/polls/rule/", poll_views.poll_rule, name="poll_rule"),
    path("c/<slug:slug>/polls/<int:pk>/", poll_views.poll_detail, name="poll_detail"),
    path("c/<slug:slug>/polls/<int:pk>/edit/", poll_views.poll_edit, name="poll_edit"),
    path("c/<slug:slug>/polls/<int:pk>/announce/", poll_views.poll_announce, name="poll_announce"),
    path("c/<slug:slug>/polls/<int:pk>/withdraw/", poll_views.poll_withdraw, name="poll_withdraw"),
    path(
        "c/<slug:slug>/polls/<int:pk>/ballot/withdraw/",
        poll_views.ballot_withdraw,
        name="ballot_withdraw",
    ),
    path(
        "c/<slug:slug>/polls/<int:pk>/ballot/receipt.json",
        poll_views.ballot_receipt,
        name="ballot_receipt",
    ),
    path("c/<slug:slug>/delegations/", delegation_views.delegation_list, name="delegation_list"),
    path(
        "c/<slug:slug>/delegations/<int:pk>/take-back/",
        delegation_views.delegation_take_back,
        name="delegation_take_back",
    ),
    path("c/<slug:slug>/motions/", stewardship_views.motion_list, name="motion_list"),
    path(
        "c/<slug:slug>/motions/<int:pk>/<slug:act>/",
        stewardship_views.motion_decide,
        name="motion_decide",
    ),
    path("c/<slug:slug>/rules/", stewardship_views.rule_list, name="community_rules"),
    path("c/<slug:slug>/rules/<slug:kind>/", stewardship_views.rule_detail, name="community_rule"),
]
