"""Writing the audit trail, and reading it together with what people did in Review."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import CharField, DateTimeField, F, IntegerField, Max, QuerySet, Sum, Value
from django.db.models.functions import Cast, Concat, TruncHour
from django.http import HttpRequest

from webapp.audit.models import Entry
from webapp.collections.models import ClassListVersion, Collection, Upload
from webapp.review.models import ReviewAction

WHAT_CHARACTERS = 300


def record(request: HttpRequest, collection: Collection, what: str) -> None:
    """Note that whoever sent `request` did `what` ("started run 7") in a collection."""
    token = getattr(request, "token", None)
    record_for(request.user, collection, what, token.name if token else "")


def record_for(actor: AbstractBaseUser, collection: Collection, what: str,
               token_name: str = "") -> None:  # nosec B107 # a token's name opens nothing
    """Note that `actor` did `what` in a collection."""
    Entry.objects.create(collection=collection, collection_name=collection.name, actor=actor,
                         actor_name=actor.get_username(), token_name=token_name, what=what[:WHAT_CHARACTERS])


def record_account(person: AbstractBaseUser, what: str) -> None:
    """Note what happened to a person's own account ("signed in by a link"); it belongs to no collection."""
    Entry.objects.create(actor=person, actor_name=person.get_username(), what=what[:WHAT_CHARACTERS])


def account_history(person: AbstractBaseUser) -> QuerySet[Entry]:
    """Return what happened to a person's own account, the newest first."""
    return Entry.objects.filter(actor=person, collection=None, collection_name="").order_by("-at", "-pk")


def record_list_edit(request: HttpRequest, version: ClassListVersion) -> None:
    """Note a new version of a class list in every collection that asks an earlier one."""
    for collection in Collection.objects.filter(class_list_version__class_list=version.class_list):
        record(request, collection, f"edited the class list: {version}, {len(version.names):,} names")


def history(collection: Collection) -> QuerySet[Entry, dict[str, object]]:
    """Return who did what in a collection, the newest first: rows of when, who, by_token, did, run_number, undone.

    Neither reviews nor uploads are written twice: each `ReviewAction` says already who did what, and whether it was
    undone, and each `Upload` who sent it. Those of a person and hour are one row.
    """
    entries = collection.audit_trail.values(
        when=F("at"), who=F("actor_name"), by_token=F("token_name"), did=F("what"),
        run_number=Value(None, output_field=IntegerField()), undone=Value(None, output_field=DateTimeField()))
    reviews = ReviewAction.objects.filter(run__collection=collection).values(
        when=F("created_at"), who=F("author__username"), by_token=Value("", output_field=CharField()),
        did=F("description"), run_number=F("run_id"), undone=F("undone_at"))
    return entries.union(reviews, _sent(collection), all=True).order_by("-when")


def _sent(collection: Collection) -> QuerySet[Upload, dict[str, object]]:
    """Return who sent how many files, in rows as `history` has them; files in an archive count."""
    arrived = collection.uploads.filter(source="").exclude(status=Upload.Status.RECEIVING).exclude(sender=None)
    files = Concat(Value("sent files: "), Cast(Sum("members_total"), CharField()), output_field=CharField())
    return arrived.annotate(hour=TruncHour("created_at")).values("hour", "sender__username").annotate(
        when=Max("created_at"), who=F("sender__username"), by_token=Value("", output_field=CharField()), did=files,
        run_number=Value(None, output_field=IntegerField()), undone=Value(None, output_field=DateTimeField()),
    ).values("when", "who", "by_token", "did", "run_number", "undone")
