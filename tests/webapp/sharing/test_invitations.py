"""Invitations: one person, once, for a week, while their inviter may invite."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from webapp.collections.models import Collection
from webapp.sharing.models import Invitation, Membership, Role

PASSWORD = "a sentence is good"


@pytest.fixture
def collection(alice):
    return Collection.objects.create(owner=alice, name="Birds")


@pytest.fixture
def address(collection, alice):
    return f"/invitations/{Invitation.objects.issue(collection, Role.REVIEWER, alice)}/"


def new_account(name="dora"):
    return {"username": name, "password1": PASSWORD, "password2": PASSWORD}


def test_the_link_is_shown_once_and_stored_as_a_digest(collection, signed_in):
    page = signed_in.post(f"/collections/{collection.pk}/invitations/", {"role": "viewer"}, follow=True)
    link = page.content.decode().split('id="new-invitation">')[1].split("<")[0]
    secret = link.rstrip("/").rsplit("/", 1)[1]
    assert link.startswith("http://testserver/invitations/") and len(secret) >= 40
    assert secret not in signed_in.get(f"/collections/{collection.pk}/people/").content.decode()
    assert secret not in str(list(Invitation.objects.values()))
    assert Client().get(f"/invitations/{secret}/").status_code == 200


def test_the_link_is_shown_on_the_page_of_its_own_collection_alone(collection, signed_in, alice):
    other = Collection.objects.create(owner=alice, name="Moths")
    signed_in.post(f"/collections/{collection.pk}/invitations/", {"role": "viewer"})
    assert "new-invitation" not in signed_in.get(f"/collections/{other.pk}/people/").content.decode()
    assert 'id="new-invitation"' in signed_in.get(f"/collections/{collection.pk}/people/").content.decode()


def test_a_new_person_makes_an_account_and_joins(collection, address, client):
    assert "alice</strong> invites you" in client.get(address).content.decode()
    assert client.post(address, new_account()).headers["Location"] == f"/collections/{collection.pk}/images/"
    joined = Membership.objects.get(user__username="dora")
    assert (joined.collection, joined.role) == (collection, "reviewer")
    assert not joined.user.is_staff and not joined.user.is_superuser
    assert client.get(f"/collections/{collection.pk}/images/").status_code == 200


def test_a_weak_password_is_refused_and_spends_nothing(address, client, django_user_model):
    answer = client.post(address, {"username": "dora", "password1": "12345678", "password2": "12345678"})
    assert answer.status_code == 422
    assert not django_user_model.objects.filter(username="dora").exists()
    assert client.post(address, new_account()).status_code == 302


@pytest.mark.parametrize(("held", "wanted"), [
    ("anna", "Anna"), ("Anna", "anna"), ("anna", "ａｎｎａ"), ("Édith", "édith"), ("anna", "anna")])
def test_nobody_joins_under_a_name_that_another_has_but_for_case(
        address, client, django_user_model, held, wanted):
    django_user_model.objects.create_user(held, is_active=False)
    answer = client.post(address, new_account(wanted))
    assert answer.status_code == 422 and "Somebody has this name already" in answer.content.decode()
    assert client.post(address, new_account("dora")).status_code == 302


@pytest.mark.parametrize("name", ["\N{CYRILLIC SMALL LETTER A}nna", "ann\N{GREEK SMALL LETTER ALPHA}"])
def test_nobody_joins_under_a_name_of_letters_that_only_look_alike(address, client, name):
    answer = client.post(address, new_account(name))
    assert answer.status_code == 422 and "Write the name in one alphabet" in answer.content.decode()


@pytest.mark.parametrize("name", ["Анна", "Ἄννα", "Zoë-2", "山田たろう", "anna.山田"])
def test_names_of_every_alphabet_join(address, client, django_user_model, name):
    assert client.post(address, new_account(name)).status_code == 302
    assert django_user_model.objects.filter(username=unicodedata.normalize("NFKC", name)).exists()


def test_a_name_that_is_taken_at_the_same_moment_is_refused_and_spends_nothing(
        address, client, django_user_model, monkeypatch):
    accept = Invitation.accept

    def accept_too_late(*arguments: object) -> bool:
        django_user_model.objects.create_user("dora")
        return accept(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Invitation, "accept", accept_too_late)
        answer = client.post(address, new_account("dora"))
    assert answer.status_code == 422 and "Somebody has this name already" in answer.content.decode()
    assert client.post(address, new_account("eve")).status_code == 302


def test_who_has_an_account_joins_with_it(address, collection, charlie, stranger):
    assert "Join as charlie" in stranger.get(address).content.decode()
    stranger.post(address)
    assert collection.memberships.get(user=charlie).role == "reviewer"


def test_it_works_once(address, client, django_user_model):
    client.post(address, new_account())
    second = Client()
    assert second.get(address).status_code == 410
    assert second.post(address, new_account("eve")).status_code == 410
    assert not django_user_model.objects.filter(username="eve").exists()


def test_of_two_who_hold_it_open_one_gets_in(address, collection, charlie, django_user_model):
    held = Invitation.objects.get()
    assert held.accept(charlie)
    eve = django_user_model(username="eve")
    assert not Invitation(**{field.attname: getattr(held, field.attname) for field in held._meta.fields}).accept(eve)
    assert eve.pk is None


@pytest.mark.parametrize(("held", "offered", "has_then"), [
    (Role.VIEWER, Role.REVIEWER, "reviewer"), (Role.VIEWER, Role.OWNER, "owner"),
    (Role.REVIEWER, Role.VIEWER, "reviewer"), (Role.OWNER, Role.VIEWER, "owner")])
def test_it_raises_a_role_and_lowers_none(collection, alice, charlie, stranger, held, offered, has_then):
    Membership.objects.create(collection=collection, user=charlie, role=held)
    secret = Invitation.objects.issue(collection, offered, alice)
    assert stranger.post(f"/invitations/{secret}/").status_code == 302
    assert collection.memberships.get(user=charlie).role == has_then


@pytest.mark.parametrize("spoil", [
    "age", "withdrawal", "inviter left", "inviter switched off", "collection in the trash", "made up"])
def test_a_link_that_should_not_open_does_not(spoil, address, collection, alice, charlie, signed_in, client):
    invitation = Invitation.objects.get()
    if spoil == "age":
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif spoil == "withdrawal":
        signed_in.post(f"/collections/{collection.pk}/invitations/{invitation.pk}/withdraw/")
    elif spoil == "inviter left":
        Membership.objects.create(collection=collection, user=charlie, role=Role.OWNER)
        collection.memberships.get(user=alice).change_role(None)
    elif spoil == "inviter switched off":
        alice.is_active = False
        alice.save()
    elif spoil == "collection in the trash":
        signed_in.post(f"/collections/{collection.pk}/delete/")
    else:
        address = "/invitations/made-up/"
    assert client.get(address).status_code == 410
    assert client.post(address, new_account()).status_code == 410
    assert not Membership.objects.filter(user__username="dora").exists()


def test_an_invitation_of_another_collection_is_not_withdrawn_from_here(address, collection, charlie, stranger):
    mine = Collection.objects.create(owner=charlie, name="Mine")
    number = Invitation.objects.get().pk
    assert stranger.post(f"/collections/{mine.pk}/invitations/{number}/withdraw/").status_code == 404
    assert Invitation.objects.filter(pk=number).exists()


def test_the_shell_invites_somebody_with_nothing_shared(db, client, capsys, django_user_model):
    from django.core.management import call_command

    call_command("invitation_link")
    address = "/" + capsys.readouterr().out.strip().split("/", 3)[3]
    assert client.post(address, new_account()).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    assert not Membership.objects.exists()
    assert Client().get(address).status_code == 410
