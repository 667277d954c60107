"""A second model of billing, written from the rules alone: it plays a random history of accounts against a gateway and recomputes every
invoice from the inputs, day by day and in fractions.

Arguments: base URL, API key, seed, accounts, steps. Prints {"invoices", "lines", "events", "operations"} or fails with what differs.

The rules it knows: billing periods follow from the bill cycle that held on each day (a change at once cuts the period on that day, a planned
one leaves the running period whole); a package's fee is charged for each day on which the account was active or suspended and the
subscription active, at the fee of that day, as a part of the full period of the cycle of that day; the days of one period at one fee are
one line, rounded once, half to even, and of a period that several invoices bill, each line is what its days add to the rounded fee of the days so
far; a fee that is for a period of the package's own is a part of that period instead, which is counted from the
subscription's first day, and each of these periods within a billing period is a line; charges before the billing date's midnight are one line per type; account credits are used oldest
first, then what earlier payments have left; a refund takes what no invoice got, then what the newest got; a cancelled account cancels its
subscriptions on that day, and takes charges from before its end until its final bill, which has them. An account with a payer has no bills: its lines are
on its payer's, when that is billed, and what it has used until its payer changes is invoiced then to who owed it. Days are those of the tenant's time zone.
"""

import calendar
import http.client
import json
import os
import random
import sys
import time
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from urllib.parse import urlparse
from zoneinfo import ZoneInfo  # its data is that of the package tzdata where the system has none

DECIMALS = {"EUR": 2, "JPY": 0, "CLF": 4}
DAY = timedelta(days=1)
DEBUG = "BILLING_MODEL_DEBUG" in os.environ


class Api:
    def __init__(self, base, key):
        url = urlparse(base)
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=120)
        self.key, self.operations = key, 0

    def call(self, method, path, body=None, expected=(200, 201, 202)):
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self.connection.getresponse()
        text = response.read().decode()
        if response.status not in expected:
            raise SystemExit(f"{method} {path} {json.dumps(body)}: {response.status} {text}")
        self.operations += method != "GET"
        return json.loads(text) if text else None

    def post(self, path, body=None, **more):
        return self.call("POST", path, {} if body is None else body, **more)

    def all(self, path):
        items, cursor = [], ""
        while True:
            page = self.call("GET", f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            items += page["items"]
            if not page.get("nextCursor"):
                return items
            cursor = f"&cursor={page['nextCursor']}"


def rounded(value, decimals):
    return Fraction(round(value * 10**decimals), 10**decimals)  # Python rounds halves of fractions to even


class Cycle:
    def __init__(self, name, unit, length, day=None, month=None):
        self.name, self.unit, self.length, self.day, self.month = name, unit, length, day, month

    def bills_on(self, day):
        if self.unit == "week":
            return day.isoweekday() == self.day
        if self.unit == "month":
            return day.day == self.day
        if self.unit == "year":
            return (day.month, day.day) == (self.month, self.day)
        return True

    def moved(self, start, periods):
        count = periods * self.length
        if self.unit in ("day", "week"):
            return start + timedelta(days=count * (7 if self.unit == "week" else 1))
        months = start.year * 12 + start.month - 1 + count * (12 if self.unit == "year" else 1)
        return start.replace(year=months // 12, month=months % 12 + 1)

    def full_period(self, day, since):
        """The full period that contains the day, counted from the first billing date since then."""
        first = since
        while not self.bills_on(first):
            first += DAY
        number = 0
        while self.moved(first, number) > day:
            number -= 1
        while self.moved(first, number + 1) <= day:
            number += 1
        return self.moved(first, number), self.moved(first, number + 1)


class Account:
    def __init__(self, ref, currency, today, cycle, status):
        self.ref, self.currency = ref, currency
        self.statuses, self.cycles = [(today, status)], [(today, cycle)]
        self.ended, self.finally_billed = None, False
        self.id, self.payer, self.payer_changed = None, None, 0
        self.planned, self.subscriptions, self.charges, self.credits, self.invoices, self.payments = None, [], [], [], [], []

    @property
    def status(self):
        return self.statuses[-1][1]

    @property
    def cycle(self):
        return self.cycles[-1][1]

    @property
    def closed(self):
        """Whether late usage is refused: who owes it has had the final bill."""
        return (self.payer or self).finally_billed

    def cycle_on(self, day):
        index = max((i for i, (since, _) in enumerate(self.cycles) if since <= day), default=0)
        return index, *self.cycles[index]

    def period(self, day):
        """The billing period on a day: start, end, days of the full period. The first cycle also counts before it began."""
        index, since, cycle = self.cycle_on(day)
        start, end = cycle.full_period(day, since)
        full = (end - start).days
        if index > 0:
            start = max(start, since)
        if index + 1 < len(self.cycles):
            end = min(end, self.cycles[index + 1][0])
        return start, end, full

    def change_cycle(self, since, cycle):
        self.cycles = [one for one in self.cycles if one[0] < since]
        if not self.cycles or self.cycles[-1][1] is not cycle:  # a change to the cycle it is on cuts nothing
            self.cycles.append((since, cycle))

    def plan_performed(self, zone):
        cycle, valid_from = self.planned
        self.planned = None
        day = valid_from.astimezone(zone).date()
        start, end, _ = self.period(day)
        if self.cycle_on(day)[0] == 0 and self.cycles[0][0] <= day:
            start = max(start, self.cycles[0][0])
        self.change_cycle(day if start == day else end, cycle)


def held(history, day):
    return max((one for one in history if one[0] <= day), default=history[0], key=lambda one: one[0])[1]


def set_from(history, day, value):
    if history and history[-1][0] == day:
        history.pop()
    if not history or history[-1][1] != value:  # the value it already has changes nothing
        history.append((day, value))


class Package:
    """The values of its history are a fee and what it is for: None, or a unit and a length."""

    def __init__(self, ref, fee, own, today):
        self.ref, self.fees = ref, [(today, (fee, own))]


def anniversary(start, months):
    """The same day of a later month, or that month's last one."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))


def own_period(start, own, day):
    """The period of a package's own that contains the day, counted from the subscription's first day."""
    unit, length = own
    if unit in ("day", "week"):
        days = length * (7 if unit == "week" else 1)
        begins = start + timedelta(days=(day - start).days // days * days)
        return begins, begins + timedelta(days=days)
    months = length * (12 if unit == "year" else 1)
    number = 0
    while anniversary(start, (number + 1) * months) <= day:
        number += 1
    return anniversary(start, number * months), anniversary(start, (number + 1) * months)


class Subscription:
    def __init__(self, identifier, package, start, today):
        self.id, self.package, self.start, self.end = identifier, package, start, None
        self.statuses, self.billed = [(today, "pending")], start


class World:
    def __init__(self, api, seed, accounts):
        self.api, self.dice, self.ticks = api, random.Random(seed), 0
        self.zone = ZoneInfo(self.dice.choice(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"]))
        self.now = datetime(2090, 1, 1, tzinfo=timezone.utc) + timedelta(hours=self.dice.randrange(24 * 40))
        self.set_clock()
        settings = api.call("GET", "/v1/billing-settings")
        kept = ("paymentTermDays", "deliveryOffsets", "serviceStatuses", "packageStatuses")
        api.call("PUT", "/v1/billing-settings", {"timeZone": self.zone.key, **{name: settings[name] for name in kept}})
        self.term = settings["paymentTermDays"]
        self.cycles = [
            Cycle("M1", "month", 1, 1), Cycle("M15", "month", 1, 15), Cycle("M28x2", "month", 2, 28), Cycle("W3", "week", 1, 3),
            Cycle("W7x2", "week", 2, 7), Cycle("Y", "year", 1, 10, 3), Cycle("D10", "day", 10),
        ]
        for one in self.cycles:
            body = {"externalId": one.name, "name": one.name, "period": one.unit, "length": one.length}
            body |= {"billingDay": one.day} if one.day else {}
            body |= {"billingMonth": one.month} if one.month else {}
            api.post("/v1/bill-cycles", body)
        self.packages = defaultdict(list)
        for currency, decimals in DECIMALS.items():
            for number in range(3):
                self.packages[currency].append(Package(f"{currency}-{number}", self.amount(decimals), self.own(), self.today))
                package = self.packages[currency][-1]
                fee, own = package.fees[0][1]
                body = {"externalId": package.ref, "name": package.ref, "recurringFee": self.money(fee, currency)}
                api.post("/v1/packages", body | ({"recurringPeriod": self.period_of(own)} if own else {}))
        self.accounts = []
        for number in range(accounts):
            self.create_account(number)

    @property
    def today(self):
        return self.now.astimezone(self.zone).date()

    def set_clock(self):
        self.api.post("/v1/test-clock", {"now": self.now.strftime("%Y-%m-%dT%H:%M:%SZ")})

    def amount(self, decimals):
        return Fraction(self.dice.randrange(1, 400 * 10**decimals), 10**decimals)

    def own(self):
        return self.dice.choice([None, None, ("month", 1), ("week", 1), ("month", 3), ("day", 10), ("year", 1)])

    def period_of(self, own):
        return own and {"unit": own[0], "length": own[1]}

    def money(self, amount, currency):
        digits = 6 if amount.denominator > 10 ** DECIMALS[currency] else DECIMALS[currency]
        return {"amount": f"{float(amount):.{digits}f}", "currency": currency}

    def create_account(self, number):
        account = Account(f"A{number}", self.dice.choice(list(DECIMALS)), self.today, self.dice.choice(self.cycles), self.dice.choice(["active", "active", "inactive"]))
        body = {"externalId": account.ref, "name": account.ref, "currency": account.currency, "billCycle": account.cycle.name, "status": account.status}
        account.id = self.api.post("/v1/accounts", body)["entities"][0]["id"]
        self.accounts.append(account)
        for _ in range(self.dice.randrange(1, 3)):
            self.subscribe(account)

    # Operations, each with its effect on the model's inputs.

    def subscribe(self, account):
        package = self.dice.choice(self.packages[account.currency])
        start = self.today + timedelta(days=self.dice.choice([0, 0, -40, -3, 5, 50]))
        body = {"account": account.ref, "package": package.ref, "startDate": start.isoformat()}
        entity = self.api.post("/v1/package-subscriptions", body)["entities"][0]["after"]
        account.subscriptions.append(Subscription(entity["id"], package, start, min(start, self.today)))
        if self.dice.random() < 0.7:
            self.package_status(account, account.subscriptions[-1], "active")

    def package_status(self, account, one, status):
        self.api.post(f"/v1/package-subscriptions/{one.id}/status", {"status": status})
        set_from(one.statuses, self.today, status)
        if status == "cancelled":
            one.end = max(self.today, one.start)

    def change_package_status(self, account):
        living = [one for one in account.subscriptions if one.end is None]
        if not living:
            return
        one = self.dice.choice(living)
        following = {"pending": ["active", "cancelled"], "active": ["suspended", "suspended", "cancelled"], "suspended": ["active", "active", "cancelled"]}
        self.package_status(account, one, self.dice.choice(following[one.statuses[-1][1]]))

    def change_status(self, account):
        status = {"inactive": "active", "active": "suspended", "suspended": "active"}[account.status]
        self.api.post(f"/v1/accounts/{account.ref}/status", {"status": status})
        set_from(account.statuses, self.today, status)

    def change_cycle(self, account):
        cycle = self.dice.choice(self.cycles)
        path = f"/v1/accounts/{account.ref}"
        kind = self.dice.choice(["now", "plan", "plan", "perform", "cancel"])
        if kind == "now":
            self.api.post(f"{path}/bill-cycle", {"billCycle": cycle.name})
            account.change_cycle(self.today, cycle)
            account.planned = None
        elif kind == "plan":
            valid_from = self.now + timedelta(hours=self.dice.randrange(1, 24 * 60))
            if self.dice.random() < 0.3:  # exactly at the beginning of a day
                valid_from = self.midnight(self.today + timedelta(days=self.dice.randrange(1, 60)))
            moment = valid_from.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            self.api.post(f"{path}/bill-cycle", {"billCycle": cycle.name, "validFrom": moment})
            account.planned = (cycle, valid_from)
        elif account.planned and kind == "perform":
            self.api.post(f"{path}/bill-cycle-change/perform")
            account.change_cycle(self.today, account.planned[0])
            account.planned = None
        elif account.planned:
            self.api.post(f"{path}/bill-cycle-change/cancel")
            account.planned = None

    def charge(self, account):
        items, before = [], account.ended or self.now  # late usage of an ended account occurred before its end
        for _ in range(self.dice.randrange(1, 5)):
            charge = {"type": self.dice.choice(["data", "voice"]), "amount": self.amount(6) / 7, "billed": None}
            charge["amount"] = rounded(charge["amount"], 6)
            charge["at"] = (before - timedelta(minutes=self.dice.randrange(1, 60 * 24 * 20))).replace(microsecond=0)
            amount = {"amount": f"{float(charge['amount']):.6f}", "currency": account.currency}
            items.append({"account": account.ref, "type": charge["type"], "occurredAt": charge["at"].strftime("%Y-%m-%dT%H:%M:%SZ"), "amount": amount})
            if not account.closed:
                account.charges.append(charge)
        answer = self.api.post("/v1/chargeable-events", {"items": items}, expected=(422,) if account.closed else (200,))
        if account.closed:
            assert all(error["code"] == "final_invoice_exists" for error in answer["errors"]) and len(answer["errors"]) == len(items), answer
        else:
            assert all(item["status"] == "recorded" for item in answer["items"]), answer

    def credit(self, account):
        amount = self.amount(DECIMALS[account.currency]) / 4
        amount = rounded(amount, DECIMALS[account.currency])
        if amount:
            self.api.post("/v1/credits", {"account": account.ref, "amount": self.money(amount, account.currency), "reason": "goodwill"})
            account.credits.append({"amount": amount, "left": amount})

    def change_fee(self):
        currency = self.dice.choice(list(DECIMALS))
        package = self.dice.choice(self.packages[currency])
        fee, own = self.amount(DECIMALS[currency]), package.fees[-1][1][1]
        body = {"recurringFee": self.money(fee, currency)}
        if self.dice.random() < 0.3:
            own = self.own()
            body["recurringPeriod"] = self.period_of(own)
        self.api.call("PATCH", f"/v1/packages/{package.ref}", body)
        set_from(package.fees, self.today, (fee, own))

    def pay(self, account):
        due = sum((one["due"] for one in account.invoices), Fraction(0))
        amount = rounded(due * self.dice.choice([Fraction(1, 3), 1, Fraction(5, 3)]), DECIMALS[account.currency])
        if not amount:
            amount = self.amount(DECIMALS[account.currency])
        body = {"account": account.ref, "method": "transfer", "amount": self.money(amount, account.currency)}
        entity = self.api.post("/v1/payments", body)["entities"][0]["after"]
        payment = {"id": entity["id"], "amount": amount, "left": amount, "parts": [], "refunded": Fraction(0), "status": "processed"}
        account.payments.append(payment)
        self.spread(account, payment)

    def spread(self, account, payment):
        """Pays open invoices from what is left of a payment, oldest first."""
        for one in account.invoices:
            part = min(payment["left"], one["due"])
            if part > 0:
                self.move(payment, one, part)

    def move(self, payment, invoice, part):
        payment["left"] -= part
        held = next((one for one in payment["parts"] if one[0] is invoice), None)
        if held:
            held[1] += part
        else:
            payment["parts"].append([invoice, part])
        invoice["due"] -= part
        invoice["paid"] += part
        invoice["status"] = "open" if invoice["due"] else "paid"

    def take_back(self, payment, amount):
        for held in reversed(payment["parts"]):
            part = min(held[1], amount)
            held[1] -= part
            amount -= part
            held[0]["due"] += part
            held[0]["paid"] -= part
            held[0]["status"] = "open" if held[0]["due"] else "paid"
        payment["parts"] = [held for held in payment["parts"] if held[1]]

    def change_payment(self, account):
        living = [one for one in account.payments if one["status"] == "processed"]
        if not living:
            return
        payment, kind = self.dice.choice(living), self.dice.choice(["refund", "refund", "deallocate", "allocate", "cancel"])
        path = f"/v1/payments/{payment['id']}"
        if kind == "refund":
            rest = payment["amount"] - payment["refunded"]
            amount = rounded(rest * self.dice.choice([Fraction(1, 4), 1]), DECIMALS[account.currency])
            if amount:
                self.api.post("/v1/refunds", {"payment": payment["id"], "amount": self.money(amount, account.currency), "reason": "r"})
                part = min(amount, payment["left"])
                payment["left"] -= part
                payment["refunded"] += amount
                self.take_back(payment, amount - part)
        elif kind == "deallocate" and payment["parts"]:
            self.api.post(f"{path}/deallocate")
            payment["left"] += sum(part for _, part in payment["parts"])
            self.take_back(payment, payment["amount"])
        elif kind == "allocate" and payment["left"] and any(one["due"] for one in account.invoices):
            self.api.post(f"{path}/allocate")
            self.spread(account, payment)
        elif kind == "cancel" and not payment["refunded"]:
            self.api.post(f"{path}/cancel", {"reason": "bounced"})
            self.take_back(payment, payment["amount"])
            payment["status"], payment["left"] = "cancelled", Fraction(0)

    def cancel_invoice(self, account):
        living = [one for one in account.invoices if one["status"] != "cancelled"]
        if not living or living[-1]["paid"]:
            return
        invoice = living[-1]
        found = self.api.all(f"/v1/invoices?account={account.ref}")
        latest = [one for one in found if one["status"] != "cancelled"][-1]
        changed = any(one.payer_changed >= invoice["tick"] for one in invoice["of"])
        self.api.post(f"/v1/invoices/{latest['id']}/cancel", expected=(409,) if changed else (200,))
        if changed:
            return
        invoice["status"], invoice["due"] = "cancelled", Fraction(0)
        for charge in [charge for one in invoice["of"] for charge in one.charges]:
            charge["billed"] = None if charge["billed"] is invoice else charge["billed"]
        for one, start in invoice["fees"]:
            one.billed = min(one.billed, start)
        for credit, part in invoice["credits"]:
            credit["left"] += part

    def midnight(self, day):
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)

    # Billing.

    def fee_lines(self, account, until):
        lines, fees = [], []
        for one in account.subscriptions:
            end = min(until, one.end) if one.end else until
            days, day = {}, one.billed
            billable = lambda day: held(account.statuses, day) in ("active", "suspended") and held(one.statuses, day) == "active"
            while day < end:
                start, _, full = account.period(day)
                fee, own = held(one.package.fees, day)
                begins = start
                if own:
                    begins, ends = own_period(one.start, own, day)
                    start, full = max(start, begins), (ends - begins).days
                # A line is a period, and one of the package's own in it, at one fee; the same fee again later in the period is another line.
                since = max((since for since, _ in one.package.fees if since <= day), default=one.package.fees[0][0])
                line = days.setdefault((account.cycle_on(day)[0], start, since, fee, full), {"first": day, "begins": begins, "count": 0})
                line["count"] += billable(day)
                day += DAY
            for (_, start, since, fee, full), line in days.items():
                if line["count"] and fee:
                    # Earlier invoices have billed the days before: the line adds the rest of the rounded fee of all days so far.
                    before, day = 0, max(line["begins"], one.start, since if since > one.package.fees[0][0] else one.start)
                    while day < line["first"]:
                        before += billable(day)
                        day += DAY
                    up_to = lambda days: rounded(fee * days / full, DECIMALS[account.currency])
                    lines.append(("fee", one.id, rounded(fee * line["count"] / full, 6), up_to(before + line["count"]) - up_to(before)))
                    fees.append((one, max(start, since if since > one.package.fees[0][0] else start, one.billed)))
            one.billed = max(one.billed, end)
        return lines, fees

    def paid_for(self, account):
        return [one for one in self.accounts if one.payer is account]

    def bill(self, account, parts, cutoff, kind):
        """Bills an account for its and others' items: the accounts, each with the day before which its fees are billed."""
        lines, billed, fees, of = [], [], [], [account]
        for part, until in parts:
            if part.status == "inactive":
                continue
            owner = "" if part is account else part.id
            before = {one: one.billed for one in part.subscriptions}
            fee_lines, fees_of_part = self.fee_lines(part, until)
            fees += [(one, max(start, before[one])) for one, start in fees_of_part]
            added = [(*line, owner) for line in fee_lines]
            for name in ("data", "voice"):
                ours = [one for one in part.charges if one["billed"] is None and one["type"] == name and one["at"] < cutoff]
                if ours:
                    exact = sum(one["amount"] for one in ours)
                    added.append(("charges", name, exact, rounded(exact, DECIMALS[account.currency]), owner))
                    billed += ours
            lines += added
            of += [part] if added and part is not account else []
        total = sum((line[3] for line in lines), Fraction(0))
        credits = []
        for credit in account.credits:
            part = min(credit["left"], total)
            if part > 0:
                credits.append((credit, part))
                credit["left"] -= part
                total -= part
                lines.append(("credit", "", -part, -part, ""))
        if not lines:
            return None
        issued = self.today
        invoice = {
            "kind": kind, "lines": lines, "total": total, "due": total, "paid": Fraction(0), "status": "open" if total else "paid", "fees": fees, "credits": credits,
            "issued": issued, "dueOn": issued + timedelta(days=self.term), "tick": self.tick(), "of": of,
        }
        for one in billed:
            one["billed"] = invoice
        for payment in account.payments:
            part = min(payment["left"], invoice["due"])
            if part > 0:
                self.move(payment, invoice, part)
        account.invoices.append(invoice)
        return invoice

    def run(self):
        cycle = self.dice.choice(self.cycles)
        day = self.today - timedelta(days=self.dice.choice([0, 0, 0, 1, 5, 30]))
        answer = self.api.post("/v1/bill-runs", {"billCycle": cycle.name, "billingDate": day.isoformat()})
        run = answer["entities"][0]["after"]["id"]
        self.eventually(lambda: self.api.call("GET", f"/v1/bill-runs/{run}")["status"] == "completed", "the bill run")
        for account in self.accounts:
            if account.cycle is cycle and account.status in ("active", "suspended") and not account.payer:
                self.bill(account, [(one, one.period(day)[0]) for one in [account, *self.paid_for(account)]], self.midnight(day), "cycle")

    def tick(self):
        self.ticks += 1
        return self.ticks

    def last_day(self, account):
        return account.ended.astimezone(self.zone).date() if account.ended else self.today

    def change_payer(self, account):
        payer = None
        if not account.ended and not self.paid_for(account) and self.dice.random() < 0.7:
            others = [one for one in self.accounts if one.currency == account.currency and not one.ended and not one.payer and one is not account and one.status != "inactive"]
            payer = self.dice.choice(others) if others else None
        path = f"/v1/accounts/{account.ref}/payer"
        self.api.post(path, {"payer": payer.ref}) if payer else self.api.post(f"{path}/remove")
        if payer is not account.payer:
            self.bill(account.payer or account, [(account, self.last_day(account))], self.now, "payerChange")
            account.payer, account.payer_changed = payer, self.tick()

    def cancel(self, account):
        if any(not one.ended for one in self.paid_for(account)):
            self.api.post(f"/v1/accounts/{account.ref}/cancel", {}, expected=(409,))
            return
        self.api.post(f"/v1/accounts/{account.ref}/cancel", {})
        set_from(account.statuses, self.today, "deactivated")
        account.planned, account.ended = None, self.now
        for one in account.subscriptions:
            if one.end is None:
                set_from(one.statuses, self.today, "cancelled")
                one.end = max(self.today, one.start)

    def final_bill(self, account):
        if account.payer:
            self.api.post(f"/v1/accounts/{account.ref}/invoices", expected=(409,))
        elif self.bill(account, [(one, self.last_day(one)) for one in [account, *self.paid_for(account)]], self.now, "onDemand"):
            self.api.post(f"/v1/accounts/{account.ref}/invoices")
            account.finally_billed = True

    def eventually(self, done, what):
        until = time.monotonic() + 180
        while not done():
            if time.monotonic() > until:
                raise SystemExit(f"waited too long for {what}")
            time.sleep(0.05)

    def step(self, number):
        self.now += timedelta(hours=self.dice.choice([1, 5, 30, 24 * 7, 24 * 20, 24 * 45]), minutes=self.dice.randrange(60))
        local = self.now.astimezone(self.zone)
        if (local.hour, local.minute) >= (23, 40):  # the gateway's clock goes on during a step, and its day must not end before the model's
            self.now += timedelta(minutes=30)
        self.set_clock()
        if DEBUG:
            print(number, self.now, self.today, file=sys.stderr)
        for account in self.accounts:
            if account.planned and account.planned[1] <= self.now:
                account.plan_performed(self.zone)
                self.eventually(lambda: "plannedBillCycleChange" not in self.api.call("GET", f"/v1/accounts/{account.ref}"), "a planned change")
        for account in self.accounts:
            if account.ended:
                if self.dice.random() < 0.3:
                    self.charge(account)
                if not account.finally_billed and self.dice.random() < 0.3:
                    self.final_bill(account)
                if account.payer and not account.closed and self.dice.random() < 0.1:
                    self.change_payer(account)
                continue
            for chance, operation in [
                (0.06, self.subscribe), (0.25, self.change_package_status), (0.15, self.change_status), (0.2, self.change_cycle), (0.3, self.charge),
                (0.1, self.credit), (0.15, self.pay), (0.1, self.change_payment), (0.08, self.cancel_invoice),
                (0.06, self.change_payer),
            ]:
                if self.dice.random() < chance:
                    operation(account)
            if self.dice.random() < 0.01:
                self.cancel(account)
        if self.dice.random() < 0.3:
            self.change_fee()
        for _ in range(self.dice.randrange(1, 4)):
            self.run()

    def check(self):
        count = 0
        for account in self.accounts:
            found = self.api.all(f"/v1/invoices?account={account.ref}")
            money = lambda of: Fraction(of["amount"])
            about = lambda line: line.get("packageSubscriptionId") or line.get("chargeType") or ""
            actual = [
                (
                    one["kind"], one["status"], one["issuedOn"], one["dueOn"], money(one["total"]), money(one["amountDue"]),
                    sorted((line["kind"], about(line), Fraction(line["exact"]), money(line["amount"]), line.get("accountId", "")) for line in one["lines"]),
                )
                for one in found
            ]
            expected = [
                (one["kind"], one["status"], one["issued"].isoformat(), one["dueOn"].isoformat(), one["total"], one["due"], sorted(one["lines"]))
                for one in account.invoices
            ]
            for number, (ours, theirs) in enumerate(zip(expected + [None] * len(actual), actual + [None] * len(expected))):
                if ours != theirs:
                    raise SystemExit(
                        f"{account.ref} ({account.currency}, {self.zone.key}) invoice {number}:\nmodel   {show(ours)}\ngateway {show(theirs)}\n"
                        f"statuses {account.statuses}\ncycles {[(str(s), c.name) for s, c in account.cycles]}\n"
                        + "\n".join(f"{s.id} from {s.start} to {s.end} {[(str(d), x) for d, x in s.statuses]} fees {[(str(d), float(f), own) for d, (f, own) in s.package.fees]}" for s in account.subscriptions)
                        + f"\n{json.dumps(self.api.call('GET', f'/v1/accounts/{account.ref}'))}"
                        + "".join(f"\n{json.dumps(self.api.call('GET', f'/v1/package-subscriptions/{s.id}')['statusHistory'])}" for s in account.subscriptions)
                        + "".join(
                            f"\n{one['number']} {one['status']} {one['issuedOn']} "
                            + ", ".join(f"{line['packageSubscriptionId'][-4:]} {line['period']['start']}..{line['period']['end']}" for line in one["lines"] if "period" in line)
                            for one in found[max(0, number - 4) : number + 2]
                        )
                    )
            count += len(actual)
            subscriptions = [(one["id"], one["status"], one.get("endDate")) for one in self.api.all(f"/v1/package-subscriptions?account={account.ref}")]
            ours = [(one.id, one.statuses[-1][1], one.end and one.end.isoformat()) for one in account.subscriptions]
            if subscriptions != ours:
                raise SystemExit(f"{account.ref}: package subscriptions\nmodel   {show(ours)}\ngateway {show(subscriptions)}")
            payments = [
                (one["id"], one["status"], money(one["unallocated"]), money(one["refunded"]), [money(part["amount"]) for part in one.get("allocations", [])])
                for one in self.api.all(f"/v1/payments?account={account.ref}")
            ]
            ours = [(one["id"], one["status"], one["left"], one["refunded"], [part for _, part in one["parts"]]) for one in account.payments]
            if payments != ours:
                raise SystemExit(f"{account.ref}: payments\nmodel   {show(ours)}\ngateway {show(payments)}")
            self.check_balance(account)
        return count

    def check_balance(self, account):
        """The balance is what was invoiced, less what was paid and credited, plus what was refunded."""
        standing = [one for one in account.invoices if one["status"] != "cancelled"]
        invoiced = sum(line[3] for one in standing for line in one["lines"] if line[0] != "credit")
        paid = sum(one["amount"] for one in account.payments if one["status"] == "processed")
        refunded = sum(one["refunded"] for one in account.payments)
        credited = sum(one["amount"] for one in account.credits)
        found = self.api.call("GET", f"/v1/accounts/{account.ref}/balance")
        ours = (invoiced - paid - credited + refunded, sum(one["due"] for one in standing))
        theirs = tuple(Fraction(found[name]["amount"]) for name in ("balance", "balanceDue"))
        if ours != theirs:
            raise SystemExit(f"{account.ref}: balance and balance due\nmodel   {show(ours)}\ngateway {show(theirs)}")

    def check_replica(self):
        """What a subscriber makes of the events alone is what the API has: the objects of all kinds that a history has.

        The clock may still perform what the last step made due, such as overdue invoices, between the reading of the events and that of
        the objects: then both are read again."""
        until = time.monotonic() + 180
        while True:
            count, difference = self.replica_difference()
            if not difference:
                return count
            if time.monotonic() > until:
                raise SystemExit(difference)
            time.sleep(0.5)

    def replica_difference(self):
        """The number of events, and the first object that differs.

        A charge that is billed causes no event of its own: `invoice.posted` bills the account's charges before its cutoff, and
        `invoice.cancelled` gives them back; `account.billed_to_payer` and `account.payer_invoice_cancelled` say the same of an account that another one
        pays for, in its own order."""
        events = self.api.all("/v1/events")
        events.sort(key=lambda event: (event["partitionkey"], int(event["sequence"])))
        replica, last = {}, {}
        for event in events:
            key, sequence = event["partitionkey"], int(event["sequence"])
            if sequence != last.get(key, 0) + 1:
                raise SystemExit(f"{event['type']} of {key}: sequence {sequence} after {last.get(key)}")
            last[key] = sequence
            change = event["data"]["object"]
            objects = replica.setdefault(change["type"], {})
            if change["action"] == "deleted":
                objects.pop(change["id"], None)
            else:
                objects[change["id"]] = event["data"]["after"]
            invoice, of = event["data"]["after"], None
            if event["type"] in ("invoice.posted", "invoice.cancelled"):
                of = None if invoice["kind"] == "payerChange" and "paidForAccountIds" in invoice else invoice["accountId"]
            elif event["type"] in ("account.billed_to_payer", "account.payer_invoice_cancelled"):
                of, told = invoice["id"], event["data"]["parameters"]
                invoice = {"id": told["payerInvoice.id"], "cutoff": told["payerInvoice.cutoff"]}
            for charge in replica.get("chargeableEvent", {}).values() if of else []:
                if charge["accountId"] == of:
                    move_charge(charge, invoice, event["type"] in ("invoice.posted", "account.billed_to_payer"))
        paths = {
            "account": "accounts", "billCycle": "bill-cycles", "package": "packages", "packageSubscription": "package-subscriptions",
            "chargeableEvent": "chargeable-events", "invoice": "invoices", "payment": "payments", "refund": "refunds", "credit": "credits",
        }
        for kind, path in paths.items():
            ours = replica.get(kind, {})
            theirs = {one["id"]: one for one in self.api.all(f"/v1/{path}")}
            for one in set(ours) | set(theirs):
                if ours.get(one) != theirs.get(one):
                    return len(events), f"{kind} {one}:\nreplica {json.dumps(ours.get(one))}\ngateway {json.dumps(theirs.get(one))}"
        return len(events), None


def move_charge(charge, invoice, posted):
    """Puts a charge on an invoice that bills it, or takes it off one that is cancelled."""
    if posted and charge["state"] == "unbilled" and moment(charge["occurredAt"]) < moment(invoice["cutoff"]):
        charge |= {"state": "billed", "invoiceId": invoice["id"], "version": charge["version"] + 1}
    elif not posted and charge.get("invoiceId") == invoice["id"]:
        charge |= {"state": "unbilled", "version": charge["version"] + 1}
        del charge["invoiceId"]


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def show(value):
    if isinstance(value, Fraction):
        return str(float(value))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(show(one) for one in value) + "]"
    return str(value)


def main():
    base, key, seed, accounts, steps = sys.argv[1:]
    api = Api(base, key)
    world = World(api, int(seed), int(accounts))
    for number in range(int(steps)):
        world.step(number)
    invoices = world.check()
    events = world.check_replica()
    lines = sum(len(one["lines"]) for account in world.accounts for one in account.invoices)
    print(json.dumps({"invoices": invoices, "lines": lines, "events": events, "operations": api.operations, "until": str(world.today)}))


main()
