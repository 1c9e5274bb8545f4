"""I/O at the request edge: what proxies and clients speak to."""
