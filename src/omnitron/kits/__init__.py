"""For apps: what replicas use. Each kit stands alone and is injected by its type; see `omnitron.control.provide`."""
