"""The RPC protocol as bytes: frames, envelopes, arguments, errors. No I/O."""
