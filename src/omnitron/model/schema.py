"""The JSON schema of definitions, for editors and other tools."""

from typing import Any

import msgspec

from omnitron.model.ecosystem import Ecosystem


def definition_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of an Ecosystem as `omnitron config` prints it."""
    schema = msgspec.json.schema(Ecosystem)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Omnitron ecosystem", **schema}
