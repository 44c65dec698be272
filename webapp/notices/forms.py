"""The form of one's notices."""

from __future__ import annotations

from django import forms
from django.conf import settings

from core.errors import ConfigError
from webapp.notices import webhook
from webapp.notices.models import NoticeSettings


class NoticeForm(forms.ModelForm):
    """Where to tell a person that a run has ended."""

    class Meta:
        model = NoticeSettings
        fields = ("email", "webhook_url")
        labels = {"email": "E-mail address", "webhook_url": "Webhook address"}
        help_texts = {"email": "Leave it empty for no e-mail.",
                      "webhook_url": "Each notice is posted there as signed JSON. Leave it empty for none."}
        widgets = {"email": forms.EmailInput(attrs={"autocomplete": "email"}),
                   "webhook_url": forms.URLInput(attrs={"placeholder": "https://example.org/labelfree"})}

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Offer e-mail only where there is a mail server."""
        super().__init__(*args, **kwargs)
        if not settings.EMAIL_HOST:
            self.fields["email"].disabled = True
            self.fields["email"].help_text = "This installation has no mail server; its administrator can name one."

    def clean_webhook_url(self) -> str:
        """Refuse what is no address; where it leads is judged when it is used."""
        url = self.cleaned_data["webhook_url"]
        if url:
            try:
                webhook.check(url)
            except ConfigError as error:
                raise forms.ValidationError(str(error)) from None
        return url
