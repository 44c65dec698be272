"""Sharing a collection: roles, who may give them, and that one owner always stays."""

from __future__ import annotations

import pytest

from webapp.collections.models import ClassList, Collection
from webapp.sharing.models import Membership, Role


@pytest.fixture
def collection(alice):
    return Collection.objects.create(owner=alice, name="Birds")


def member(collection, user, role):
    return Membership.objects.create(collection=collection, user=user, role=role)


def test_who_makes_a_collection_owns_it(collection, alice):
    assert collection.memberships.get().user == alice
    assert collection.memberships.get().role == "owner"
    collection.save()
    assert collection.memberships.count() == 1


def test_a_shared_collection_stands_at_home_and_in_the_api(collection, charlie, stranger):
    assert b"Birds" not in stranger.get("/").content
    member(collection, charlie, Role.VIEWER)
    assert b"Birds" in stranger.get("/").content
    assert [one["name"] for one in stranger.get("/api/v1/collections").json()["collections"]] == ["Birds"]


def test_a_viewer_is_told_which_role_it_takes(collection, charlie, stranger):
    member(collection, charlie, Role.VIEWER)
    page = stranger.post(f"/collections/{collection.pk}/settings/", {"name": "Mine"})
    assert page.status_code == 403
    assert "you are a viewer; this takes the role owner" in page.content.decode()
    answer = stranger.patch(f"/api/v1/collections/{collection.pk}", {"name": "Mine"}, content_type="application/json")
    assert answer.status_code == 403
    assert "takes the role owner" in answer.json()["error"]["fix"]


def test_pages_offer_a_viewer_nothing_that_is_refused(collection, charlie, stranger):
    member(collection, charlie, Role.VIEWER)
    for page in ("images", "question", "runs", "people"):
        content = stranger.get(f"/collections/{collection.pk}/{page}/").content.decode()
        posts = [part.split('"')[0] for part in content.split('<form method="post" action="')[1:]]
        assert set(posts) <= {"/sign-out/", f"/collections/{collection.pk}/people/leave/"}, page
        assert "/settings/" not in content


def test_an_owner_changes_a_role_and_takes_it_away(collection, charlie, signed_in):
    one = member(collection, charlie, Role.VIEWER)
    address = f"/collections/{collection.pk}/people/{one.pk}/"
    signed_in.post(address, {"role": "reviewer"})
    one.refresh_from_db()
    assert one.role == "reviewer"
    signed_in.post(address, {"role": "emperor"})
    one.refresh_from_db()
    assert one.role == "reviewer"
    signed_in.post(address, {"role": ""})
    assert not Membership.objects.filter(pk=one.pk).exists()


@pytest.mark.parametrize("role", ["viewer", ""])
def test_the_only_owner_stays(collection, alice, signed_in, role):
    own = collection.memberships.get(user=alice)
    page = signed_in.post(f"/collections/{collection.pk}/people/{own.pk}/", {"role": role}, follow=True)
    assert "make somebody else an owner first" in page.content.decode()
    assert collection.memberships.get(user=alice).role == "owner"


def test_an_owner_who_leaves_hands_the_collection_on(collection, charlie, signed_in):
    member(collection, charlie, Role.OWNER)
    assert signed_in.post(f"/collections/{collection.pk}/people/leave/").status_code == 302
    collection.refresh_from_db()
    assert collection.owner == charlie
    assert signed_in.get(f"/collections/{collection.pk}/images/").status_code == 404


def test_a_member_of_another_collection_is_not_changed_from_here(collection, charlie, signed_in):
    other = Collection.objects.create(owner=charlie, name="Other")
    theirs = other.memberships.get()
    assert signed_in.post(f"/collections/{collection.pk}/people/{theirs.pk}/", {"role": ""}).status_code == 404
    assert other.memberships.count() == 1


def test_a_class_list_is_read_by_those_who_see_a_collection_that_asks_it(collection, alice, charlie, stranger):
    pets = ClassList.objects.create(owner=alice, name="pets")
    pets.versions.create(number=1, names=["cat", "dog"])
    assert stranger.get(f"/class-lists/{pets.pk}/").status_code == 404
    member(collection, charlie, Role.OWNER)
    assert stranger.get(f"/class-lists/{pets.pk}/").status_code == 404
    collection.class_list_version = pets.latest
    collection.save()
    Collection.objects.create(owner=alice, name="Secret", class_list_version=pets.latest)
    page = stranger.get(f"/class-lists/{pets.pk}/").content.decode()
    assert "Birds" in page and "Secret" not in page and "Save as a new version" not in page
    assert stranger.post(f"/class-lists/{pets.pk}/", {"name": "pets", "names": "a\nb"}).status_code == 403


def test_asking_somebodys_list_in_ones_own_collection_gives_no_right_to_change_it(collection, alice, charlie, stranger):
    pets = ClassList.objects.create(owner=alice, name="pets")
    collection.class_list_version = pets.versions.create(number=1, names=["cat", "dog"])
    collection.save()
    member(collection, charlie, Role.VIEWER)
    mine = Collection.objects.create(owner=charlie, name="Mine")
    asked = stranger.patch(f"/api/v1/collections/{mine.pk}", {"class_list": pets.pk}, content_type="application/json")
    assert asked.status_code == 200
    changed = stranger.put(f"/api/v1/class-lists/{pets.pk}", {"names": ["x", "y"]}, content_type="application/json")
    assert changed.status_code == 403
    assert pets.latest.names == ["cat", "dog"]


def test_who_shares_no_collection_with_a_lists_owner_any_more_reads_the_versions_that_they_ask(
        collection, alice, charlie, stranger):
    pets = ClassList.objects.create(owner=alice, name="pets")
    collection.class_list_version = pets.versions.create(number=1, names=["cat", "dog"])
    collection.save()
    one = member(collection, charlie, Role.VIEWER)
    mine = Collection.objects.create(owner=charlie, name="Mine", class_list_version=pets.latest)
    pets.versions.create(number=2, names=["cat", "dog", "unicorn"])
    assert "unicorn" in stranger.get(f"/class-lists/{pets.pk}/").content.decode()
    one.change_role(None)
    for address in (f"/class-lists/{pets.pk}/", f"/class-lists/editor/?class_list={pets.pk}",
                    f"/class-lists/{pets.pk}/versions/1/", f"/api/v1/class-lists/{pets.pk}",
                    f"/collections/{mine.pk}/question/"):
        page = stranger.get(address).content.decode()
        assert "cat" in page and "unicorn" not in page and "version 2" not in page, address
    assert stranger.get(f"/class-lists/{pets.pk}/versions/2/").status_code == 404
    asked = stranger.patch(f"/api/v1/collections/{mine.pk}", {"class_list": pets.pk}, content_type="application/json")
    assert asked.json()["class_list"]["names"] == ["cat", "dog"]


def test_a_second_owner_who_edits_the_names_makes_a_list_of_their_own(collection, alice, charlie, stranger):
    pets = ClassList.objects.create(owner=alice, name="pets")
    collection.class_list_version = pets.versions.create(number=1, names=["cat", "dog"])
    collection.save()
    member(collection, charlie, Role.OWNER)
    sent = {"kind": "names", "class_list": pets.pk, "names": "cat\ndog"}
    stranger.post(f"/collections/{collection.pk}/question/", sent)
    collection.refresh_from_db()
    assert collection.class_list_version.class_list == pets
    stranger.post(f"/collections/{collection.pk}/question/", {**sent, "names": "cat\ndog\nhare"})
    collection.refresh_from_db()
    assert collection.class_list_version.names == ["cat", "dog", "hare"]
    assert collection.class_list_version.class_list.owner == charlie
    assert pets.versions.count() == 1


def test_a_run_learns_besides_only_from_collections_one_may_see(collection, alice, charlie):
    from webapp.runs.forms import RunForm
    from webapp.sharing.access import collections_of

    Collection.objects.create(owner=alice, name="Alice's own")
    member(collection, charlie, Role.OWNER)
    mine = Collection.objects.create(owner=charlie, name="Charlie's own")
    form = RunForm(collection=collection, method="must", others=collections_of(charlie))
    assert list(form.fields["warm_up"].queryset) == [mine]
