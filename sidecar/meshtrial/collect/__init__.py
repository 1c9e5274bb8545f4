"""OTLP and outcomes -> store: receivers, pseudonyms, forwarding."""
