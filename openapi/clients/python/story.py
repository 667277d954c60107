"""The story of a client in Python: what an integration does with Billwire, by the generated client alone. It prints one JSON object.

BILLWIRE_URL and BILLWIRE_API_KEY say where and as whom.
"""

import json
import os
from datetime import datetime, timedelta, timezone

from billwire_client import AuthenticatedClient
from billwire_client.api.accounts import (
    cancel_account_bill_cycle_change,
    create_account,
    list_accounts,
    update_account_bill_cycle,
)
from billwire_client.api.bill_cycles import create_bill_cycle
from billwire_client.api.charges import adjust_chargeable_event, record_chargeable_events, search_chargeable_events
from billwire_client.models import (
    AccountInput,
    AdjustmentInput,
    AdjustmentInputChargeType,
    BillCycleInput,
    BillCycleInputPeriod,
    BillCycleUpdate,
    ChangedChargeableEvent,
    ChargeableEventInput,
    ChargeableEventsInput,
    MoneyInput,
    Problem,
)
from billwire_client.types import UNSET


class Refused(Exception):
    """A refused call, with its problem."""

    def __init__(self, problem: Problem):
        super().__init__(f"{problem.status} {problem.code}: {problem.detail}")
        self.problem = problem


def done(answer):
    """What was answered, or the problem as an exception."""
    if isinstance(answer, Problem):
        raise Refused(answer)
    return answer


def accounts(client, page_size):
    """All accounts, page by page."""
    cursor = UNSET
    while True:
        page = done(list_accounts.sync(client=client, limit=page_size, cursor=cursor))
        yield from page.items
        if not page.next_cursor:
            return
        cursor = page.next_cursor


def main():
    client = AuthenticatedClient(base_url=os.environ["BILLWIRE_URL"], token=os.environ["BILLWIRE_API_KEY"])
    told = {}

    for day in (1, 15):
        cycle = BillCycleInput(
            name=f"Python {day}", external_id=f"python-{day}", period=BillCycleInputPeriod.MONTH, billing_day=day
        )
        done(create_bill_cycle.sync(client=client, body=cycle))

    # The same request again, as after a lost answer: it happens once.
    acme = AccountInput(name="Acme", external_id="python-acme", currency="EUR", bill_cycle="python-1")
    first, second = (
        done(create_account.sync(client=client, body=acme, idempotency_key="python-create-acme")) for _ in range(2)
    )
    told["once"] = first.id == second.id
    told["entity"] = first.entities[0].type_
    told["name"] = first.entities[0].after.name

    change = BillCycleUpdate(bill_cycle="python-15", valid_from=datetime.now(timezone.utc) + timedelta(days=2))
    told["planned"] = done(update_account_bill_cycle.sync("python-acme", client=client, body=change)).events[1].type_
    # The body is optional, and left out.
    told["cancelled"] = done(cancel_account_bill_cycle_change.sync("python-acme", client=client)).events[1].type_

    try:
        done(update_account_bill_cycle.sync("python-acme", client=client, body=BillCycleUpdate(bill_cycle="nowhere")))
    except Refused as refused:
        problem = refused.problem
        told["problem"] = {"status": problem.status, "code": problem.code, "pointer": problem.errors[0].pointer}

    for n in range(4):
        branch = AccountInput(name=f"Branch {n}", currency="EUR", bill_cycle="python-1")
        done(create_account.sync(client=client, body=branch))
    told["accounts"] = sum(1 for _ in accounts(client, 2))

    call = ChargeableEventInput(
        account="python-acme",
        external_id="python-call",
        type_="call",
        occurred_at=datetime.now(timezone.utc),
        amount=MoneyInput(amount="2.50", currency="EUR"),
    )
    recorded = done(record_chargeable_events.sync(client=client, body=ChargeableEventsInput(items=[call])))
    told["recorded"] = recorded.items[0].status
    goodwill = AdjustmentInput(
        amount=MoneyInput(amount="0.50", currency="EUR"), charge_type=AdjustmentInputChargeType.CREDIT, reason="Goodwill"
    )
    adjusted = done(adjust_chargeable_event.sync("python-call", client=client, body=goodwill))
    (charge,) = (entity for entity in adjusted.entities if isinstance(entity, ChangedChargeableEvent))
    told["left"] = charge.after.net_amount.amount
    found = done(search_chargeable_events.sync(client=client, account="python-acme"))
    told["net"] = found.items[0].net_amount.amount

    print(json.dumps(told))


main()
