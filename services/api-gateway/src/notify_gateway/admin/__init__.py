"""Routes of the admin web app (internal-api.md): each states its form, its call and its shape (ADR 0011)."""
