"""The customer lookup, the rows of one file, and lookups of any other kind, which find numbers."""

import csv
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.outside.openai_wire import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

CUSTOMERS = Path(__file__).parents[1] / "samples" / "customers.csv"


class Customers:
    """The customers by their ids."""

    def __init__(self, path: Path) -> None:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        # Orders have the customer id as a number, so the reply has it too.
        self._rows: Mapping[str, Mapping[str, object]] = {
            row["cliente_id"]: {**row, "cliente_id": int(row["cliente_id"])} for row in rows
        }

    def look_up(self, cliente_id: str) -> Reply:
        """Return the row of a customer, or 404."""
        row = self._rows.get(cliente_id)
        if row is None:
            return problem(HTTPStatus.NOT_FOUND, "No such customer.")
        return Reply(status=HTTPStatus.OK, body=row)


def found(kind: str, name: str) -> Reply:
    """Return what a look-up of any *kind* finds: the same numbers each time."""
    digits = sha256(f"{kind}/{name}".encode()).digest()
    return Reply(status=HTTPStatus.OK, body={"kind": kind, "name": name, "values": list(digits[:8])})


def problem(status: HTTPStatus, message: str) -> Reply:
    """Build a refusal in the format of everything here that is not the model."""
    return Reply(status=status, body={"error": {"message": message, "code": status.name.lower()}})
