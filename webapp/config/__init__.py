"""How the application is put together: settings, URLs, the ASGI entry and what guards it."""
