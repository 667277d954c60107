"""Validates an OpenAPI document with openapi-spec-validator.

    validate_openapi.py FILE      (`-` for stdin)

Prints {"ok": true, "version": "3.0.3", "errors": []} or the errors, each {"path": "...", "message": "..."}; exits with 0 either way,
and with 2 if FILE is not JSON. The document is validated against the version it declares, 3.0 or 3.1.
"""

import json
import sys

from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

try:
    with sys.stdin if sys.argv[1] == "-" else open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
except ValueError as error:
    print(f"{sys.argv[1]} is not JSON: {error}", file=sys.stderr)
    sys.exit(2)

version = str(document.get("openapi"))
validators = {"3.0": OpenAPIV30SpecValidator, "3.1": OpenAPIV31SpecValidator}
validator = validators.get(version[:3])
if validator is None:
    errors = [{"path": "openapi", "message": f"'{version}' is neither 3.0.x nor 3.1.x"}]
else:
    errors = [{"path": "/".join(map(str, error.absolute_path)), "message": error.message} for error in validator(document).iter_errors()]
print(json.dumps({"ok": not errors, "version": version, "errors": errors}))
