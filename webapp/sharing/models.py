"""Roles in a collection, who holds which, and the invitations by which people come to one."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from core.errors import DataError
from webapp.accounts.models import digest
from webapp.collections.models import Collection

INVITATION_LIFETIME = timedelta(days=7)


class Role(models.TextChoices):
    """What a person may do in a collection, with its runs and class lists; each role includes those before it."""

    VIEWER = "viewer", "Viewer"
    REVIEWER = "reviewer", "Reviewer"
    OWNER = "owner", "Owner"

    def includes(self, other: Role) -> bool:
        """Tell whether this role may do all that `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


ABILITIES = {
    Role.VIEWER: "looks and downloads",
    Role.REVIEWER: "also confirms, corrects and spot checks",
    Role.OWNER: "also uploads, starts runs, shares and deletes",
}


class Membership(models.Model):
    """One person's role in one collection. Whoever makes a collection holds it as owner (`Collection.save`)."""

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["collection", "user"], name="membership_once_a_person")]
        indexes = [models.Index(fields=["user", "role"])]  # every request: what may this person see?

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.collection}"

    def change_role(self, role: Role | None) -> None:
        """Give the person another role, or (None) take the collection from them.

        Raises:
            DataError: if no owner would be left.
        """
        with transaction.atomic():
            collection = Collection.objects.select_for_update().get(pk=self.collection_id)
            heir = (collection.memberships.filter(role=Role.OWNER).exclude(pk=self.pk).order_by("created_at", "pk")
                    .first())
            if role != Role.OWNER and heir is None:
                raise DataError(self.user.get_username(), "the only owner; make somebody else an owner first")
            if role != Role.OWNER and heir is not None and collection.owner_id == self.user_id:
                collection.owner_id = heir.user_id
                collection.save(update_fields=["owner"])
            if role is None:
                self.delete()
            else:
                self.role = role
                self.save(update_fields=["role"])


class InvitationManager(models.Manager["Invitation"]):
    """Makes invitations and finds those that still open."""

    def issue(self, collection: Collection | None, role: Role, inviter: settings.AUTH_USER_MODEL | None) -> str:
        """Store a new invitation; return its secret, which cannot be shown again."""
        secret = secrets.token_urlsafe(32)
        self.create(collection=collection, role=role, digest=digest(secret), invited_by=inviter,
                    expires_at=timezone.now() + INVITATION_LIFETIME)
        return secret

    def open(self) -> models.QuerySet[Invitation]:
        """Return those that are neither spent nor too old, and whose inviter may still invite."""
        return self.filter(used_at=None, expires_at__gt=timezone.now(), collection__trashed_at=None).filter(
            models.Q(invited_by=None) | models.Q(
                invited_by__is_active=True, collection__memberships__user=models.F("invited_by"),
                collection__memberships__role=Role.OWNER)).distinct()


class Invitation(models.Model):
    """A link that lets one person in once; who has no account yet makes one by it.

    Without a collection it only makes an account; the server's shell alone issues such.
    """

    collection = models.ForeignKey(Collection, null=True, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role)
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    used_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    objects = InvitationManager()

    def __str__(self) -> str:
        return f"invitation to {self.collection or 'the house'} as {self.role}"

    def accept(self, user: settings.AUTH_USER_MODEL) -> bool:
        """Spend the invitation on `user` (saved here if new); False if somebody was faster. No role is lowered."""
        with transaction.atomic():
            if not Invitation.objects.filter(pk=self.pk, used_at=None).update(used_at=timezone.now()):
                return False
            if user.pk is None:
                user.save()
            Invitation.objects.filter(pk=self.pk).update(used_by=user)
            if self.collection is not None:
                held, is_new = self.collection.memberships.get_or_create(user=user, defaults={"role": self.role})
                if not is_new and not Role(held.role).includes(Role(self.role)):
                    held.change_role(Role(self.role))
        return True
