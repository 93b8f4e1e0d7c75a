"""Calls between processes over Unix sockets: one hop, typed, with deadlines, streams and balancing."""
